"""When the law of a frontier has intervals, and which quantiles they are."""

from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from scipy.stats import t

from scalebed.fit import fit_law
from scalebed.search import ladder
from scalebed.search.power import LAW, Bootstrap, _resample, fit_power
from scalebed.search.trends import Optimum, fit_trend


def losses(flops):
    noise = np.random.default_rng(1).normal(0, 0.002, flops.size)
    return 1.5 + 2000 * flops**-0.17 + noise


@pytest.mark.parametrize(
    ("flops", "draws", "drawn"),
    [
        # Three parameters: six points of four amounts of compute are enough, less are not.
        ([1e16, 1e16, 1e17, 1e18, 1e19, 1e19], 20, True),
        ([1e16, 1e16, 1e17, 1e17, 1e18, 1e18], 20, False),
        ([1e16, 1e17, 1e18, 1e19, 1e20], 20, False),
        ([1e16, 1e16, 1e17, 1e18, 1e19, 1e19], 0, False),
    ],
)
def test_intervals_need_twice_the_parameters_and_one_compute_more(flops, draws, drawn):
    flops = np.array(flops)
    rows = fit_power(flops, losses(flops), {}, Bootstrap(draws, 0.9, 0))
    assert [row["lower"] is not None for row in rows] == [drawn] * 3
    assert [row["upper"] is not None for row in rows] == [drawn] * 3


def test_limits_are_quantiles_of_fits_to_points_drawn_again():
    flops = np.geomspace(1e16, 1e19, 8)
    loss = losses(flops)
    rows = fit_power(flops, loss, {"big": 1e21}, Bootstrap(9, 0.5, 4))
    index = np.random.default_rng(4).integers(8, size=(9, 8))
    assert min(len(set(row)) for row in index.tolist()) >= 3
    fits = [fit_law(LAW, (flops[row],), loss[row]) for row in index]
    drawn = np.array([[*fit.theta, float(fit.predict(np.array([1e21]))[0])] for fit in fits])
    lower, upper = np.quantile(drawn, [0.25, 0.75], axis=0)
    assert [row["lower"] for row in rows] == pytest.approx(lower, rel=1e-4)
    assert [row["upper"] for row in rows] == pytest.approx(upper, rel=1e-4)


def test_intervals_have_nine_tenths_of_the_fits_unless_told():
    flops = np.geomspace(1e16, 1e19, 8)
    loss = losses(flops)
    rows = fit_power(flops, loss, {}, Bootstrap(draws=9, seed=4))
    index = np.random.default_rng(4).integers(8, size=(9, 8))
    drawn = [fit_law(LAW, (flops[row],), loss[row]).theta for row in index]
    lower, upper = np.quantile(drawn, [0.05, 0.95], axis=0)
    assert [row["lower"] for row in rows] == pytest.approx(lower, rel=1e-4)
    assert [row["upper"] for row in rows] == pytest.approx(upper, rel=1e-4)


def test_samples_of_fewer_amounts_of_compute_than_parameters_are_drawn_again():
    """97 of 100 points share a compute: a sample needs two of the other three, which 30 % lack."""
    flops = np.array([1e16] * 97 + [1e17, 1e18, 1e19])
    found = _resample(flops, Bootstrap(2000, 0.9, 7))
    first = np.random.default_rng(7).integers(100, size=(2000, 100))
    fine = np.array([len(set(row)) >= 3 for row in flops[first].tolist()])
    # Without two of the three, for each pair of them; without all three is in it thrice.
    assert np.mean(~fine) == pytest.approx(3 * 0.98**100 - 2 * 0.97**100, abs=0.04)
    assert np.array_equal(found[fine], first[fine])
    assert min(len(set(row)) for row in flops[found].tolist()) == 3


def test_points_that_no_sample_could_serve_end_in_an_error():
    with pytest.raises(AssertionError, match="amounts of compute"):
        _resample(np.array([1e16, 1e17, 1e17]), Bootstrap(3, 0.9, 0))


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_the_exponent_of_a_rate_has_student_s_interval(level):
    """ln N is 0, 1, 2 and 3 steps of ln 4; of 1 % to one side of a line and the other."""
    off = 0.01 * np.array([1.0, -1.0, -1.0, 1.0])
    points = [
        Optimum(1000 * 4**i, 5 * (1000 * 4**i) ** -0.5 * np.exp(off[i]), False) for i in range(4)
    ]
    # The line stays as it is; of residuals 1 % two degrees of freedom are left, and sum x^2 is 5.
    half = t.ppf((1 + level) / 2, 2) * np.sqrt(4 * 0.01**2 / 2 / 5) / np.log(4)
    found = fit_trend("lr", points, level)
    assert found.exponent == pytest.approx(-0.5)
    assert (found.lower, found.upper) == pytest.approx((-0.5 - half, -0.5 + half))


@pytest.mark.parametrize(
    ("searched", "smallest"), [((True, True, False), "r0"), ((False, True, False), "r1")]
)
def test_a_ladder_s_law_is_fitted_to_what_was_searched(monkeypatch, searched, smallest):
    monkeypatch.setattr(ladder, "over_train", lambda study: 160)
    study = SimpleNamespace(search=SimpleNamespace(loss="val", ratio=20))
    names = [f"r{i}" for i in range(3)]
    rungs = [
        SimpleNamespace(name=name, run=run or None)
        for name, run in zip(names, searched, strict=True)
    ]
    found = yaml.safe_load("\n".join(ladder._fit(study, rungs)))["fit"]
    inside = [name for name, run in zip(names, searched, strict=True) if run]
    over = {"sizes": [smallest], "ratios": [160]}
    assert found["loss_cells"] == [{"sizes": inside, "ratios": [20]}, over]
    others = [name for name in names if name not in inside]
    assert found["targets"] == [{"sizes": others, "ratios": [20]}]
    none = [SimpleNamespace(name=name, run=None) for name in names]
    found = yaml.safe_load("\n".join(ladder._fit(study, none)))["fit"]
    assert found["loss_cells"] == [{"sizes": ["r0"], "ratios": [160]}]
