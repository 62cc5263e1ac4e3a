"""The dearer half of the runs, predicted from the cheaper half."""

import numpy as np
import pytest

from scalebed.fit.posterior import Beliefs, Points, known_scatter
from scalebed.predict.dearer import UNTRIED_HALF, Dearer, dearer
from scalebed.predict.evidence import Evidence
from scalebed.predict.forward import Forward, Rung
from scalebed.predict.words import missed

SIZES = np.array([39e3, 60e3, 81e3, 120e3])
RATIOS = np.array([5.0, 10.0, 20.0])


def points(bend=0.0, seed=0, sizes=SIZES):
    """Runs about a law, those of more compute than the middle one `bend` above it."""
    params, ratio = (column.ravel() for column in np.meshgrid(sizes, RATIOS, indexing="ij"))
    tokens = params * ratio
    loss = 1.84 + 20 * params**-0.273 + 32 * tokens**-0.273
    noise = 1 + 0.002 * np.random.default_rng(seed).standard_normal(loss.size)
    flops = params * tokens
    return Points(params, tokens, loss * noise * np.where(flops > np.median(flops), 1 + bend, 1.0))


def said(given):
    beliefs = Beliefs()
    return dearer(given, beliefs, known_scatter(beliefs), 0.9)


def test_the_dearer_half_is_predicted_from_the_cheaper():
    found = said(points())
    # 6 N D in units of the cheapest run's: 1, 2, 2.37, 4, 4.31, 4.73 | 8.63, ..., 37.87
    assert (found.rows, found.inside >= 5, found.missed) == (6, True, False)
    assert found.tried == pytest.approx(37.8698 / 4.7337, rel=1e-4)
    assert found.words.startswith(f"of the dearer half, 6 runs up to {found.tried:.3g} times")


def test_a_law_that_fails_in_the_dearer_half_has_missed():
    found = said(points(bend=0.08))
    assert found.missed
    assert found.inside < 3


@pytest.mark.parametrize("given", [points().take(np.arange(12) < 6), points(sizes=SIZES[:2])])
def test_too_few_runs_or_sizes_try_nothing(given):
    found = said(given)
    assert found == UNTRIED_HALF
    assert found.words == ""


def told(forward_inside=True, tried=1.0, half=UNTRIED_HALF):
    rungs = (Rung(1e5, 3, 0.01, forward_inside),)
    return Evidence(Forward(rungs, 0.9), largest=1e10, tried=tried, dearer=half)


def test_the_first_word_says_how_far_it_was_tried():
    half = Dearer(tried=2.1, rows=5, inside=5)
    assert (
        told(tried=1.02, half=half).at(1e11, 20).startswith("held to 2.1x of 10x the compute: of")
    )
    assert told(tried=4, half=half).at(1e11, 20).startswith("held to 4x of 10x the compute: of 1 s")
    assert told().at(1e11, 20).startswith("held at 1x, not at 10x the compute: of 1 size")
    assert told(half=half).at(1e10, 20).startswith("held: of 1 size")


def test_what_failed_is_said_first():
    half = Dearer(tried=2.1, rows=5, inside=1, missed=True)
    assert told(half=half).at(1e11, 20) == (
        "missed along compute: of the dearer half, 5 runs up to 2.1 times the compute of the "
        "cheaper, 1 inside 90% when predicted from it; from size to size held: of 1 size predicted "
        "from the smaller ones, 1 inside 90%; the largest is +1.00% off; 10 times the largest "
        "compute of the data, tried up to 2.1 times"
    )
    words = told(forward_inside=False, tried=3).at(1e11, 20)
    assert words.startswith("missed: of 1 size")
    assert words.endswith("; 10 times the largest compute of the data, tried up to 3 times")


@pytest.mark.parametrize(
    ("evidence", "against"),
    [
        (None, False),
        ("held: of 2 sizes; loss law", False),
        ("missed along M: M is 8 times", True),
        ("loss law held: x; error law held: y", False),
        ("loss law missed: x; error law held: y", True),
        ("loss law held to 2x of 9x the compute: x; error law missed: y", True),
    ],
)
def test_a_loss_law_that_missed_speaks_against_the_error_behind_it(evidence, against):
    assert missed(evidence) is against
