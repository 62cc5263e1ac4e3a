"""Limits of forecasts and what they take for a standard deviation, against SciPy and by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import norm, t

from scalebed.watch import schedules, trend
from scalebed.watch.forecast import Prior, forecast, prior_of
from scalebed.watch.ladder import Mean, Ratio, warm_up, warmed_up
from scalebed.watch.shapes import alike


@pytest.mark.parametrize(("dof", "level"), [(1, 0.9), (3, 0.8), (30, 0.95)])
def test_a_normal_as_wide_as_student_s(dof, level):
    low, high = norm.interval(level, scale=trend._normal(0.01, dof, level))
    assert (low, high) == pytest.approx(t.interval(level, dof, scale=0.01))


def test_a_seal_is_the_normal_of_its_interval():
    """From 2.5 e^-0.2 to 2.5 e^0.2 in 80 % of the cases: 1.2816 standard deviations each way."""
    limits = {"lower": 2.5 * np.exp(-0.2), "upper": 2.5 * np.exp(0.2), "level": 0.8}
    prior = prior_of({"prediction": limits | {"quantiles": [1.0, 2.5, 9.0]}})
    assert (prior.value, prior.sd) == pytest.approx((np.log(2.5), 0.2 / 1.281552))


def test_a_forecast_weighs_the_curve_and_what_was_expected(monkeypatch):
    """The curve says e^1.00 within 3 % and 4 %, so 5 %; the prior e^1.06 within 12 %."""
    now = Mean(np.exp(1.2), 0.05 * np.exp(1.2), 9)
    given = 0.5, now, Ratio(0.2, 0.03, "others", 0.03**2), Prior(1.06, 0.12, "sealed"), 0.8
    found = forecast(*given)
    z = norm.ppf(0.9)
    assert found.alone == pytest.approx(np.exp([1.0, 1 - 0.05 * z, 1 + 0.05 * z]))
    assert found.behind == pytest.approx(norm.cdf(-0.06 / 0.13))
    # 0.9 exp(-0.2130 / 2) / 0.13 = 6.2237 against 0.1 exp(-0.1338 / 2) / 0.16401 = 0.57024.
    assert found.on == pytest.approx(0.91607, abs=2e-5)
    # The precisions 400 and 69.4 add up; 0.06 is 0.46 of the 13 % of both.
    middle, sd = (400 + 1.06 / 0.12**2) / (400 + 1 / 0.12**2), (400 + 1 / 0.12**2) ** -0.5
    assert sd == pytest.approx(0.6 / 13)
    at = np.log(found.end)
    below = found.on * norm.cdf(at, middle, sd) + (1 - found.on) * norm.cdf(at, 1.0, 0.05)
    assert below == pytest.approx([0.5, 0.1, 0.9])
    monkeypatch.setattr("scalebed.watch.forecast.LEFT", 0.0)
    sure = forecast(*given)
    assert sure.on == 1
    assert sure.end == pytest.approx(np.exp([middle, middle - sd * z, middle + sd * z]))


@pytest.mark.parametrize(("off", "on"), [(0.0, 0.9527), (0.1, 0.8025), (0.2, 0.0324)])
def test_a_curve_far_from_what_was_expected_is_believed_alone(off, on):
    """18 against .894; 18 e^-2 = 2.436 against .894 e^-.4 = .600; .00604 against .1806."""
    now = Mean(np.exp(1.0), np.nan, 9)
    given = Ratio(0.0, 0.03, "others", 0.0), Prior(1.0 - off, 0.04, "sealed"), 0.9
    found = forecast(0.5, now, *given)
    stayed = 0.9 * norm.pdf(off, scale=0.05)
    left = 0.1 * norm.pdf(off, scale=np.sqrt(0.05**2 + 0.1**2))
    assert found.on == pytest.approx(stayed / (stayed + left))
    assert found.on == pytest.approx(on, abs=5e-5)
    apart = forecast(0.5, now, given[0], given[1]._replace(counts=False), 0.9)
    assert apart.on == 0
    assert apart.end == pytest.approx(apart.alone)


def test_three_errors_of_a_schedule_law_are_student_s(monkeypatch):
    """Errors of 1, 2 and 2 % have a root mean square of 1.7321 %, known by three."""
    monkeypatch.setattr(schedules, "_change", lambda *given: 0.1)
    monkeypatch.setattr(schedules, "_error", lambda constants, one, fraction: one)
    schedule = SimpleNamespace(rates=np.ones(9))

    def told(*errors):
        found = schedules.ratio_of(None, schedule, errors, "the law", 0.9)(0.5)
        assert found.value == 0.1
        return found.sd

    wide = t.ppf(0.95, 3) / norm.ppf(0.95)
    assert told(0.01, -0.02, 0.02, np.nan) == pytest.approx(0.03 / 3**0.5 * wide)
    # Two tell nothing, and less than 0.4 % is not believed.
    assert told(0.01, -0.02) == told(0.001, 0.001, 0.001) == 0.004


@pytest.mark.parametrize(("rows", "other"), [(4, False), (6, True)])
def test_a_twentieth_of_the_rows_may_have_another_rate(rows, other):
    """What is steep may be off by rows; 6 of 100 rows are more than the 95 % quantile."""
    rates = np.ones(100)
    steps = np.arange(1, 101) / 100
    rung = SimpleNamespace(name="one", fraction=steps, lr=rates.copy())
    rates[40 : 40 + rows] = 0.5
    found = alike(SimpleNamespace(lr=rates, tokens=steps), [rung], 1.0)
    assert found.left == other
    assert (found.untold is not None) == other


@pytest.mark.parametrize(("at", "beyond"), [(0.39, False), (0.40, True)])
def test_a_run_is_beyond_its_warm_up_when_it_has_gone_on_for_as_long(at, beyond):
    """The rate rises over 21 rows of 100; 95 % of the peak is in the 20th."""
    fraction = np.arange(1, 101) / 100
    rate = np.minimum(1.0, np.arange(1, 101) / 21)
    assert warm_up(fraction, rate) == 0.20
    assert warm_up(fraction, np.ones(100)) == 0
    assert warmed_up(fraction, rate, at) == beyond
