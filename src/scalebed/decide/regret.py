"""What a choice of N costs in every draw, and the range of N that costs little in most of them.

The regret of N at a compute C is the share of C that is wasted: 1 - C' / C, where C' is the compute
at which the best run reaches the loss of N trained on D = C / (6 N). At a wanted loss, or with
demand, it is the share of the cost that the best run would save.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from scalebed.decide.optimum import Best, at_compute, at_loss
from scalebed.decide.surface import Surface
from scalebed.laws.forms.base import Array

SMALL: Final = 0.01
"""Regret that nobody minds: one part in a hundred of the compute."""
MOSTLY: Final = 0.9
"""Share of the draws in which it has to be so small."""

_BELOW: Final = np.concatenate([np.linspace(0.0, 0.2, 21), np.linspace(0.25, 3.0, 12)])
"""Decades below C at which the best loss is known exactly; between them it is interpolated."""
_DRAWS: Final = 1000
_NODES: Final = 121


class Valley(NamedTuple):
    """Sizes and what they cost.

    Attributes
    ----------
    params : array (n,)
        N.
    median, most : array (n,)
        Regret in the median draw, and that which nine of ten draws do not exceed.
    share : array (n,)
        Share of the draws in which the regret is below `SMALL`.
    """

    params: Array
    median: Array
    most: Array
    share: Array

    @property
    def safest(self) -> int:
        """Position of the size that costs least in nine of ten draws."""
        return int(np.argmin(self.most))

    @property
    def range(self) -> tuple[float, float] | None:
        """Smallest and largest N that cost little in most draws; None where no size does."""
        good = np.flatnonzero(self.share >= MOSTLY)
        return (float(self.params[good[0]]), float(self.params[good[-1]])) if good.size else None


def spread(count: int, most: int = _DRAWS) -> slice | Array:
    """Return the places of at most so many of `count` draws, evenly spread."""
    return slice(None) if count <= most else np.linspace(0, count - 1, most).astype(int)


def thinned(surface: Surface, most: int = _DRAWS) -> Surface:
    """Return at most so many of the draws, evenly spread."""
    return surface.take(spread(len(surface.theta), most))


def compute_regret(
    surface: Surface, params: Array, flops: float, most: float = np.inf, served: float = 0.0
) -> Array:
    """Share of a compute that sizes waste, (draws, n).

    Parameters
    ----------
    surface : Surface
    params : array (n,)
        N.
    flops : float
        C = 6 N D + 2 N T.
    most : float
        Largest N that the best run may have.
    served : float
        T.
    """
    tokens = flops / (6 * params) - served / 3
    loss = surface.loss(params, np.where(tokens > 0, tokens, np.nan))
    loss = np.where(np.isnan(loss), np.inf, loss)
    best = np.stack(
        [at_compute(surface, flops * 10.0**-far, most, served).loss for far in _BELOW], axis=1
    )
    # A draw without a best run says nothing of regret.
    result = np.full(loss.shape, np.nan)
    for k in np.flatnonzero(np.isfinite(best[:, 0])):
        # Losses rise with less compute; whatever lies above them all wastes all but 1 / 1,000.
        known = np.isfinite(best[k])
        far = np.interp(loss[k], np.maximum.accumulate(best[k][known]), _BELOW[known])
        result[k] = 1 - 10.0**-far
    return result


def cost_regret(
    surface: Surface,
    params: Array,
    loss: float | Array,
    demand: float,
    most: float = np.inf,
    best: Best | None = None,
) -> Array:
    """Share of the cost 6 N D + 2 N T at a wanted loss that the best run saves, (draws, n).

    Parameters
    ----------
    surface : Surface
    params : array (n,)
    loss : float or array (draws,)
    demand : float
        T, see `scalebed.decide.optimum.at_loss`.
    most : float
        Largest N.
    best : Best, optional
        The run of the least cost in every draw, if it was found already.
    """
    count = len(surface.theta)
    wanted = np.broadcast_to(np.asarray(loss, float), (count,))
    best = best or at_loss(surface, wanted, demand, most)
    sizes = np.broadcast_to(params, (count, params.size))
    cost = 6 * sizes * surface.tokens_for(sizes, wanted[:, None]) + 2 * sizes * demand
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Array = 1 - best.lifetime(demand)[:, None] / cost
    return result


def valley(params: Array, regret: Array) -> Valley:
    """Summarise the regret of sizes over the draws that have a best run.

    Parameters
    ----------
    params : array (n,)
    regret : array (draws, n)
    """
    usable = np.isfinite(regret).all(axis=1)
    if not usable.any():
        nothing = np.full(params.size, np.nan)
        return Valley(params, nothing, nothing, np.zeros(params.size))
    known = regret[usable]
    return Valley(
        params,
        np.median(known, axis=0),
        np.quantile(known, MOSTLY, axis=0, method="inverted_cdf"),
        np.mean(known < SMALL, axis=0),
    )


def sizes_around(params: Array) -> Array:
    """Sizes from a fifth of the smallest to five times the largest best one, (n,)."""
    known = params[np.isfinite(params)]
    low, high = np.quantile(known, (0.005, 0.995))
    return np.geomspace(low / 5, high * 5, _NODES)
