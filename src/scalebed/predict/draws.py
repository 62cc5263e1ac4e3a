"""Out of draws: runs that scatter about a law, limits of intervals, and parts of their width."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from scalebed.laws.forms.base import Array, Index

FACTORS: Final = (0.5, 2.0)
"""A loss half or twice the law's is no scatter about it: the limits keep the heavy tails of
Student's t with one degree of freedom out of the refits. No 5 % quantile reaches them."""

PARTS: Final = ("loss_fit", "error_fit", "run", "evaluation")
"""Sources of the uncertainty of a prediction: the two fits, the new run and its measurement."""
# 15.87 % and 84.13 %: half their distance is the standard deviation of a normal, and still means
# something for the heavy tails of Student's t.
_ONE_SIGMA: Final = (0.158655, 0.841345)


def scatter_factors(noise: Array) -> Array:
    """Return what losses of the law are multiplied with; noise in units of the loss."""
    return np.clip(1 + noise, *FACTORS)


def with_luck(normal: Array, common: Array, groups: Index, shared: float) -> Array:
    """Return standard normals of which groups have a part of the variance in common, (draws, n).

    Parameters
    ----------
    normal : array (draws, n)
        Of each point alone.
    common : array (draws, groups)
    groups : int array (n,)
    shared : float
    """
    found: Array = np.sqrt(1 - shared) * normal + np.sqrt(shared) * common[:, groups]
    return found


def interval_of(samples: Array, level: float) -> Array:
    """Lower and upper limit of each column, (2, ...); samples (draws, ...).

    Infinite draws (M* where A = 0) allow no interpolation between neighbours.
    """
    tails = ((1 - level) / 2, (1 + level) / 2)
    found: Array = np.quantile(samples, tails, axis=0, method="inverted_cdf")
    return found


def number_or_none(value: float) -> float | None:
    """Return a number for a table; what is not finite is missing there."""
    return float(value) if math.isfinite(value) else None


def one_sigma(samples: Array) -> Array:
    """Half the distance between the 15.87 % and 84.13 % quantiles of each column."""
    # To sort takes half as long as `numpy.quantile` and gives the same to the bit.
    ordered = np.sort(samples, axis=0)
    low, high = (_quantile(ordered, share) for share in _ONE_SIGMA)
    half: Array = (high - low) / 2
    return half


def _quantile(ordered: Array, share: float) -> Array:
    """Quantile of sorted columns, between neighbours as NumPy's; NaN where there is one."""
    last = len(ordered) - 1
    below = math.floor(last * share)
    part = last * share - below
    low, high = ordered[below], ordered[min(below + 1, last)]
    step = high - low
    found = low + step * part if part < 0.5 else high - step * (1 - part)
    return np.where(np.isnan(ordered[-1]), np.nan, found)


def loss_parts(means: Array, draws: Array, evaluation: float) -> dict[str, Array]:
    """Split the standard deviation of predicted losses by source.

    Parameters
    ----------
    means, draws : array (draws, n)
        Predictions without and with the scatter of the new run.
    evaluation : float
        Sampling error of a measured loss; the scatter about the law contains it.
    """
    total = one_sigma(draws - means)
    measured = np.minimum(np.full(total.shape, evaluation), total)
    return {
        "loss_fit": one_sigma(means),
        "error_fit": np.zeros(total.shape),
        "run": np.sqrt(total**2 - measured**2),
        "evaluation": measured,
    }


def error_parts(loss_fit: Array, error_fit: Array, run: Array, sampling: float) -> dict[str, Array]:
    """Split the standard deviation of predicted errors by source.

    Parameters
    ----------
    loss_fit, error_fit, run : array (draws, n)
        Predicted errors where only the fitted loss law, the fitted error law, or the scatter of the
        new run (in its loss and its error) varies.
    sampling : float
        Sampling error of a measured error.
    """
    total = one_sigma(run)
    return {
        "loss_fit": one_sigma(loss_fit),
        "error_fit": one_sigma(error_fit),
        "run": total,
        "evaluation": np.full(total.shape, sampling),
    }
