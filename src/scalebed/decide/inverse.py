"""The compute at which a given N or D is the best choice, in every draw: the optimum turned round.

At C = 6 N D the least loss has N dL/dN = D dL/dD. With one of the two given, the other is where
these are equal; under Chinchilla's law N*(C) = G (C / 6)^a and D*(C) = (C / 6)^b / G then give
C = 6 (N / G)^(1 / a) = 6 (D G)^(1 / b).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from scalebed.decide.surface import Surface
from scalebed.laws.forms.base import Array

_RANGE: Final = (np.log(1e2), np.log(1e19))
_HALVINGS: Final = 60
# Central differences: an error of 1e-9, and rounding that outweighs a narrower step.
_STEP: Final = 1e-4


def compute_for_params(surface: Surface, params: float | Array) -> Array:
    """Training compute 6 N D at which models of N parameters are compute-optimal.

    Parameters
    ----------
    surface : Surface
    params : float or array (draws,)
        N.

    Returns
    -------
    array (draws,)
        NaN where N is optimal at no compute.
    """
    own = np.broadcast_to(np.asarray(params, float), (len(surface.theta),))
    tokens = _root(lambda log_d: _tilt(surface, own, np.exp(log_d)), len(own))
    return 6 * own * tokens


def compute_for_tokens(surface: Surface, tokens: float | Array) -> Array:
    """Training compute 6 N D at which D tokens are compute-optimal.

    Parameters
    ----------
    surface : Surface
    tokens : float or array (draws,)
        D.

    Returns
    -------
    array (draws,)
        NaN where D is optimal at no compute.
    """
    own = np.broadcast_to(np.asarray(tokens, float), (len(surface.theta),))
    params = _root(lambda log_n: -_tilt(surface, np.exp(log_n), own), len(own))
    return 6 * params * own


def _tilt(surface: Surface, params: Array, tokens: Array) -> Array:
    """N dL/dN - D dL/dD, (draws,): below 0 where a larger model on fewer tokens is better."""
    n, d = params[:, None], tokens[:, None]
    up, down = np.exp(_STEP), np.exp(-_STEP)
    along = surface.loss(n * up, d * down) - surface.loss(n * down, d * up)
    result: Array = along[:, 0]
    return result


def _root(tilt: Callable[[Array], Array], count: int) -> Array:
    """Where a function that falls with the logarithm of an amount is 0, by bisection; (draws,)."""
    low, high = (np.full(count, end) for end in _RANGE)
    lost = ~((tilt(low) > 0) & (tilt(high) < 0))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = tilt(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(lost, np.nan, np.exp((low + high) / 2))
