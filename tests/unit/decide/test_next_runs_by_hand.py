"""What is said of the next runs, and what their choice rests on, worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from scalebed.decide import page
from scalebed.decide.suggest.designs import Run
from scalebed.decide.suggest.greedy import SHARED, tamed
from scalebed.decide.suggest.page import _name
from scalebed.decide.suggest.suggestion import shared_part


@pytest.mark.parametrize("following", [None, SimpleNamespace(steps=(), widths=np.array([0.01]))])
def test_without_a_run_that_narrows_anything_the_answer_itself_is_next(following):
    decision = SimpleNamespace(curve=SimpleNamespace(params=np.array([1e8])), following=following)
    (said,) = page._next(decision, None)
    assert said.startswith("The run itself: no run of a tenth of its cost narrows")


def test_far_values_are_drawn_in_to_four_robust_deviations():
    """Medians 0 and 10, medians of the distances from them 1 and 2, times 1.4826 times 4."""
    columns = [-100.0, -5.0, -1.0, 0.0, 1.0, 0.5, 5.9], [30.0, 8.0, 10.0, 21.8, 12.0, 9.0, -2.0]
    found = tamed(np.array(columns).T)
    assert np.median(np.abs(columns[0])) == 1 and np.median(np.abs(np.array(columns[1]) - 10)) == 2
    assert found[:, 0] == pytest.approx([-5.9304, -5.0, -1.0, 0.0, 1.0, 0.5, 5.9])
    assert found[:, 1] == pytest.approx([21.8608, 8.0, 10.0, 21.8, 12.0, 9.0, -1.8608])


@pytest.mark.parametrize(
    ("unique", "name"),
    [
        (2e9, "N 100M, D 2B (M 20)"),
        # A thousandth less is no repetition.
        (1.998e9, "N 100M, D 2B (M 20)"),
        (1.997e9, "N 100M, D 2B (M 20), 2B unique"),
        (5e8, "N 100M, D 2B (M 20), 500M unique"),
    ],
)
def test_a_run_is_named_with_its_unique_tokens_where_it_repeats_some(unique, name):
    assert _name(Run(1e8, 2e9, unique)) == name


def spread_of(*off, sigma=0.01):
    """Share of cells of two runs each that lie so far from their mean, in logarithms."""
    params = np.repeat(1e8 * 4.0 ** np.arange(len(off)), 2)
    both = np.ravel([(one, -one) for one in off])
    law = SimpleNamespace(inputs=("params", "tokens"), value=lambda theta, x: np.full(x[0].size, 3))
    return shared_part(
        SimpleNamespace(
            **{"params": params, "tokens": 20 * params, "unique_tokens": 20 * params},
            **{"loss": 3 * np.exp(both), "law": law, "middle": None, "sigma": sigma},
        )
    )


def test_the_shared_part_is_what_repeats_leave_of_the_variance():
    """A pair that lies d off its mean on either side has the variance 2 d^2, of sigma^2 = 1e-4."""
    assert spread_of(0.005, 0.005, 0.005) == pytest.approx(1 - 0.5)
    # (2 * 9 + 2 * 16 + 2 * 1) / 3 of 1e-6.
    assert spread_of(0.003, 0.004, 0.001) == pytest.approx(1 - 0.52 / 3)
    assert spread_of(0.0, 0.0, 0.0) == 0.99
    assert spread_of(0.02, 0.02, 0.02) == 0.0
    # Two cells with repeats are too few, and so is a scatter that is not known.
    assert spread_of(0.0, 0.0) == spread_of(0.0, 0.0, 0.0, sigma=None) == SHARED


@pytest.mark.parametrize(("times", "lines"), [(1.0, 1), (10.0, 1), (12.0, 2), (None, 1)])
def test_a_range_far_beyond_the_runs_is_said_to_be_untried(times, lines):
    decision = SimpleNamespace(
        curve=SimpleNamespace(drawn=True, times_largest=lambda flops: times),
        answer=SimpleNamespace(question=SimpleNamespace(served=False), flops=1e22),
        valley=SimpleNamespace(range=(1e9, 2e9)),
        named=None,
    )
    said = list(page._wrong(decision))
    assert said[0] == "N from 1B to 2B wastes under 1% of the compute in nine of ten draws."
    assert len(said) == lines
    if lines == 2:
        assert said[1].startswith("It has 12 times the largest compute of the runs: beyond 10 ")
