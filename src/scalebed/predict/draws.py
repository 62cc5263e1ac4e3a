"""What all bootstraps share: runs that scatter about a law, and limits out of draws."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from scalebed.laws.forms.base import Array

FACTORS: Final = (0.5, 2.0)
"""A loss half or twice the law's is no scatter about it: the limits keep the heavy tails of
Student's t with one degree of freedom out of the refits. No 5 % quantile reaches them."""


def scatter_factors(noise: Array) -> Array:
    """Return what losses of the law are multiplied with; noise in units of the loss."""
    return np.clip(1 + noise, *FACTORS)


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
