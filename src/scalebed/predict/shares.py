"""How much of a prediction's spread comes from the fits, the new run and its measurement."""

from __future__ import annotations

from typing import Final

import numpy as np

from scalebed.laws.forms.base import Array

SHARES: Final = ("loss_fit", "error_fit", "run", "evaluation")
# 15.87 % and 84.13 %: half their distance is the standard deviation of a normal, and still means
# something for the heavy tails of Student's t.
_ONE_SIGMA: Final = (0.158655, 0.841345)


def spread(samples: Array) -> Array:
    """Half the distance between the 15.87 % and 84.13 % quantiles of each column."""
    low, high = np.quantile(samples, _ONE_SIGMA, axis=0)
    half: Array = (high - low) / 2
    return half


def loss_shares(means: Array, draws: Array, evaluation: float) -> dict[str, Array]:
    """Split the spread of predicted losses by source.

    Parameters
    ----------
    means, draws : array (draws, n)
        Predictions without and with the scatter of the new run.
    evaluation : float
        Sampling error of a measured loss; the scatter about the law contains it.
    """
    total = spread(draws - means)
    measured = np.minimum(np.full(total.shape, evaluation), total)
    return {
        "loss_fit": spread(means),
        "error_fit": np.zeros(total.shape),
        "run": np.sqrt(total**2 - measured**2),
        "evaluation": measured,
    }


def error_shares(
    loss_fit: Array, error_fit: Array, run: Array, sampling: float
) -> dict[str, Array]:
    """Split the spread of predicted errors by source.

    Parameters
    ----------
    loss_fit, error_fit, run : array (draws, n)
        Predicted errors where only the fitted loss law, the fitted error law, or the scatter of the
        new run (in its loss and its error) varies.
    sampling : float
        Sampling error of a measured error.
    """
    parts = {"loss_fit": spread(loss_fit), "error_fit": spread(error_fit), "run": spread(run)}
    return parts | {"evaluation": np.full(parts["run"].shape, sampling)}
