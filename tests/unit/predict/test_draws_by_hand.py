"""Parts of the uncertainty, and the draws of errors, against values worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from scalebed.laws import get_law
from scalebed.predict import build
from scalebed.predict.draws import (
    error_parts,
    interval_of,
    loss_parts,
    number_or_none,
    one_sigma,
    scatter_factors,
)

# Ranks of 100,001 equal steps: 15.8655 % of them lie below rank 15865.5, as many above the other.
RANKS = np.linspace(0.0, 1.0, 100_001)[:, None]
HALF = 0.841345 - 0.5


def test_half_the_distance_of_two_quantiles():
    assert one_sigma(RANKS) == pytest.approx([HALF])
    assert one_sigma(5 - 3 * RANKS) == pytest.approx([3 * HALF])


@pytest.mark.parametrize("draws", [1, 2, 3, 7, 100, 1001])
def test_half_the_distance_is_that_of_quantiles_of_numpy_to_the_bit(draws):
    samples = np.random.default_rng(draws).standard_normal((draws, 5))
    samples[draws // 2, 3] = np.nan
    samples[0, 4] = np.inf
    with np.errstate(invalid="ignore"):
        low, high = np.quantile(samples, (0.158655, 0.841345), axis=0)
        np.testing.assert_array_equal(one_sigma(samples), (high - low) / 2)


@pytest.mark.parametrize(("measured", "run", "left"), [(3.0, 4.0, 3.0), (9.0, 0.0, 5.0)])
def test_the_scatter_contains_the_error_of_the_measurement(measured, run, left):
    """5² = 4² + 3²; an error of 9 is more than all of the scatter, of which nothing is left."""
    means = np.random.default_rng(0).permutation(RANKS) * 7 / HALF
    parts = loss_parts(means, means + 5 * RANKS / HALF, measured)
    assert parts["run"] == pytest.approx([run])
    assert parts["evaluation"] == pytest.approx([left])
    assert parts["loss_fit"] == pytest.approx([7.0])
    assert parts["error_fit"].tolist() == [0.0]


def test_parts_of_an_error():
    parts = error_parts(2 * RANKS, 3 * RANKS, 4 * RANKS, 0.01)
    expected = {"loss_fit": 2 * HALF, "error_fit": 3 * HALF, "run": 4 * HALF, "evaluation": 0.01}
    assert {name: float(part[0]) for name, part in parts.items()} == pytest.approx(expected)


def test_limits_are_draws_and_leave_out_as_many_on_both_sides():
    samples = np.array([[np.inf], [4.0], [3.0], [2.0], [1.0], [0.0]])
    # Of six draws the first with at least 10 % of them up to it, and the first with 90 %.
    assert interval_of(samples, 0.8).ravel().tolist() == [0.0, np.inf]
    assert interval_of(samples, 0.6).ravel().tolist() == [1.0, 4.0]


def test_a_loss_is_at_least_half_and_at_most_twice_the_law():
    assert scatter_factors(np.array([-0.9, -0.2, 0.3, 4.0])).tolist() == [0.5, 0.8, 1.3, 2.0]
    assert number_or_none(np.inf) is None and number_or_none(1.5) == 1.5


def test_draws_of_an_error_hold_the_scatter_and_the_sampling_error(monkeypatch):
    """3 % of scatter about the law and 4 % of sampling make 5 %; the part "run" is 3 % alone."""
    error = np.full((100_001, 1), 0.5)
    monkeypatch.setattr(build, "_carried", lambda *given: [error] * 5)
    stage = SimpleNamespace(point=error[0], sampling=0.04)
    monkeypatch.setattr(build, "replace", lambda stage, **changes: changes)
    fit = SimpleNamespace(law=get_law("decay"), theta=None)
    loss = SimpleNamespace(draws=error)
    normal = (RANKS - 0.5) / HALF
    found = build._predicted(stage, fit, None, (), loss, (np.array([0.03]), normal))
    assert found["draws"] - 0.5 == pytest.approx(0.05 * normal)
    assert found["fit_draws"] == pytest.approx(error)
    assert found["parts"]["run"] == pytest.approx([0.03])
    assert found["parts"]["evaluation"] == pytest.approx([0.04])
