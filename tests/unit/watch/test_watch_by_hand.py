"""Scores and verdicts against values worked out by hand."""

import dataclasses

import numpy as np
import pytest

from scalebed.watch.forecast import AHEAD, BEHIND, ON, Forecast
from scalebed.watch.multi_power import scores


def test_the_five_scores_of_two_losses():
    """Losses 2 and 4, predicted 2.5 and 3: .5 above and 1 below; they lie 1 about their mean."""
    found = scores(np.array([2.0, 4.0]), np.array([2.5, 3.0]))
    expected = {"R2": 1 - 1.25 / 2, "MAE": 0.75, "RMSE": 0.625**0.5, "PredE": 0.25}
    assert found == pytest.approx(expected | {"WorstE": 0.25})


@pytest.mark.parametrize(
    ("level", "behind", "verdict"),
    [
        (0.9, 0.96, BEHIND),
        (0.9, 0.94, ON),
        (0.9, 0.06, ON),
        (0.9, 0.04, AHEAD),
        (0.5, 0.75, BEHIND),
        (0.5, 0.25, AHEAD),
        (0.5, 0.5, ON),
    ],
)
def test_a_run_is_off_its_curve_beyond_one_tail_of_the_interval(level, behind, verdict):
    given = {field.name: None for field in dataclasses.fields(Forecast)}
    assert Forecast(**given | {"level": level, "behind": behind}).verdict == verdict
