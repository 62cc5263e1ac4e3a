"""At how much compute one data set reaches what another one does."""

from __future__ import annotations

import numpy as np

from scalebed.checks.contrasts.laws import Side
from scalebed.laws.forms.base import Array

# The other data set's compute is sought within this factor, in log units: 10 decades each way.
_REACH = 10 * np.log(10)
_HALVINGS = 60


def multiplier(side: Side, wanted: Array, flops: float, ratio: float) -> Array:
    """Compute at which a side reaches what is wanted, over `flops`, by bisection in log C.

    Infinite where it never does within ten decades, 0 where it does so with ten decades less.

    Parameters
    ----------
    side : Side
    wanted : array (1 + draws,)
        A value for the fit and each draw.
    flops, ratio : float
        C of the target, and M at every C.
    """
    low, high = np.full(wanted.size, -_REACH), np.full(wanted.size, _REACH)
    never = side.values(flops * np.exp(high), ratio) > wanted
    always = side.values(flops * np.exp(low), ratio) <= wanted
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = side.values(flops * np.exp(middle), ratio) > wanted
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    found: Array = np.where(never, np.inf, np.where(always, 0.0, np.exp((low + high) / 2)))
    return found
