"""What is said of a target whose M lies beyond that of the data."""

import numpy as np
import pytest

from scalebed.fit.posterior import Beliefs, Points, known_scatter
from scalebed.predict.over import Over, over

SIZES = np.geomspace(2e7, 1.8e8, 6)
RATIOS = np.array([5.0, 10.0, 20.0])


def points(lift=0.0, seed=0):
    """Runs about a law; those of M = 20 lie `lift` above it."""
    params, ratio = (column.ravel() for column in np.meshgrid(SIZES, RATIOS, indexing="ij"))
    tokens = params * ratio
    loss = 1.84 + 166 * params**-0.273 + 287 * tokens**-0.273
    noise = 1 + 0.002 * np.random.default_rng(seed).standard_normal(loss.size)
    return Points(params, tokens, loss * noise * np.where(ratio == 20, 1 + lift, 1.0))


def said(given):
    beliefs = Beliefs()
    return over(given, beliefs, known_scatter(beliefs), 0.9)


def test_runs_of_a_larger_m_are_predicted_from_those_of_smaller_ones():
    found = said(points())
    assert (found.largest, found.tried) == (20.0, 2.0)
    assert found.rows == 12, "six of M = 10 and six of M = 20"
    assert found.inside >= 10
    assert not found.missed
    assert found.words(20.5, "held: x") == "held: x"
    assert found.words(160, "held: x") == (
        "held: x; M is 8 times the largest of the data, tried up to 2 times: of 12 runs predicted "
        f"from smaller M, {found.inside} inside 90%"
    )


def test_what_fails_along_m_is_said_first():
    found = said(points(lift=0.08))
    assert found.inside <= 8
    assert found.missed
    assert found.words(160, "held: x").startswith("missed along M: M is 8 times the largest")
    assert found.words(160, "held: x").endswith("; from size to size held: x")


@pytest.mark.parametrize(
    ("rows", "inside", "missed"),
    # 1 of 2 outside at 10 % each: 0.19; 2 of 4: 0.052; 3 of 8: 0.038; 2 of 2: 0.01.
    [(2, 1, False), (4, 2, False), (8, 5, True), (2, 0, True), (3, 3, False)],
)
def test_so_few_inside_have_to_be_rare(rows, inside, missed):
    assert Over(20.0, 2.0, rows, inside).missed is missed


def test_one_m_alone_tries_nothing():
    whole = points()
    one = whole.take(whole.tokens / whole.params < 6)
    found = said(one)
    assert found.rows == 0
    assert found.at(40) == "M is 8 times the largest of the data, no such step was tried"
