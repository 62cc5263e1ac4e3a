"""How steep a curve over the loss or over log C the points can show."""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array

# In units of 1 / (spread of the points): below the first the curve is a straight line over the
# data, above the second it is a step between two points.
_LEAST, _MOST = 0.02, 40.0
_BEYOND = 5.0


def rates(u: Array) -> tuple[float, float]:
    """Least and largest rate that is searched."""
    spread = float(np.ptp(u))
    return _LEAST / spread, _MOST / spread


def middles(u: Array) -> tuple[float, float]:
    """Interval of the turning point that is searched: five spreads to either side."""
    low, high = float(np.min(u)), float(np.max(u))
    return low - _BEYOND * (high - low), high + _BEYOND * (high - low)
