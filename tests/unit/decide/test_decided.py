"""What `benchmarks/decided.py` counts, on curves whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.covered.decided import Counted, counted, line
from benchmarks.covered.simulated import TRUTHS
from scalebed.decide.curve import Curve
from scalebed.decide.sources import constant_curve

NAMES = ("E", "A", "B", "alpha", "beta")


def curve_of(theta) -> Curve:
    """Two draws of one law, with one run."""
    curve = constant_curve("chinchilla", dict(zip(NAMES, theta, strict=True)))
    drawn = np.array([theta, theta])
    return replace(curve, theta=drawn, params=np.array([4e8]), tokens=np.array([6.4e10]))


@pytest.mark.parametrize("truth", ["tied", "chinchilla", "hoffmann"])
def test_a_curve_that_is_the_truth_is_inside_and_small(truth):
    found = counted(curve_of(TRUTHS[truth]), TRUTHS[truth])
    assert found.inside.all()
    # The outermost of 121 sizes with a regret below 1 % in the draws have it under the same law.
    assert np.all(found.small == 1)


def test_a_curve_with_eight_times_the_weight_of_data_is_neither():
    floor, size, data, alpha, beta = TRUTHS["tied"]
    # M* grows by 8^(1 / .273), about 2,000, and N* falls by its root.
    found = counted(curve_of((floor, size, 8 * data, alpha, beta)), TRUTHS["tied"])
    assert not found.inside.any()
    assert np.all(found.small == 0)


def test_tables_without_a_range_are_counted_apart():
    one = Counted(np.ones((3, 2), bool), np.ones((3, 3)))
    none = Counted(np.zeros((3, 2), bool), np.full((3, 3), np.nan))
    assert line("case", [one, none]).split("|")[0].split() == (
        ["case", "1x", "N*", "50", "D*", "50", "small", "[100", "100", "100]", "of", "1"]
    )
