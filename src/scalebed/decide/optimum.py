"""The best run of every draw: at a compute, at a loss with demand, under caps.

Lifetime compute is 6 N D + 2 N T for T served tokens (Sardana et al., arXiv 2401.00448). At a
wanted loss its minimum has alpha A N^-alpha / (beta B D^-beta) = 1 + T / (3 D) under Chinchilla's
law; it is looked for numerically, so that every law and every cap has one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scalebed.decide.surface import Surface
from scalebed.laws.forms.base import Array

LEAST, MOST = 1e2, 1e17
"""Range of N in which optima are looked for."""
_NODES, _ZOOM, _ROUNDS = 61, 9, 6
# The first is wider than the last grid is fine; from 1e-4 on, noise outweighs what is gained.
_STEPS = (1e-3, 1e-4)


@dataclass(frozen=True)
class Caps:
    """What may not be exceeded.

    Attributes
    ----------
    params : float
        Largest N, from memory.
    flops : float
        Largest training compute 6 N D, from time or a budget.
    """

    params: float = np.inf
    flops: float = np.inf


class Best(NamedTuple):
    """The best run in every draw, (draws,) each; NaN where there is none."""

    params: Array
    tokens: Array
    loss: Array

    @property
    def flops(self) -> Array:
        """Training compute 6 N D."""
        return 6 * self.params * self.tokens

    def lifetime(self, demand: float) -> Array:
        """Compute of training and serving, 6 N D + 2 N T."""
        return self.flops + 2 * self.params * demand


def at_compute(
    surface: Surface, flops: float | Array, most: float = np.inf, served: float = 0.0
) -> Best:
    """Return the run of the least loss at a compute C = 6 N D + 2 N T.

    Parameters
    ----------
    surface : Surface
    flops : float or array (draws,)
        C, of training alone without `served`.
    most : float
        Largest N.
    served : float
        T: tokens that the same compute has to serve.
    """
    theta = surface.theta
    flops = np.broadcast_to(np.asarray(flops, float), (len(theta),))
    # A draw in which a term is 0 has its optimum at the end of an axis.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        optimal = surface.law.compute_optimal
        closed = optimal(theta, flops) if surface.free and not served else None
    if closed is not None and most == np.inf:
        params, tokens = closed.params, closed.tokens
    else:

        def lost(params: Array) -> Array:
            tokens = _tokens(flops[:, None], params, served)
            value = surface.loss(params, np.where(tokens > 0, tokens, np.nan))
            return np.where(np.isfinite(value), value, np.inf)

        params = _least(lost, len(theta), most)
        tokens = _tokens(flops, params, served)
    usable = np.isfinite(params) & (params > 0) & np.isfinite(tokens) & (tokens > 0)
    params, tokens = (np.where(usable, column, np.nan) for column in (params, tokens))
    return Best(params, tokens, surface.loss(params[:, None], tokens[:, None])[:, 0])


def _tokens(flops: Array, params: Array, served: float) -> Array:
    return (flops - 2 * params * served) / (6 * params)


def at_loss(
    surface: Surface, loss: float | Array, demand: float = 0.0, most: float = np.inf
) -> Best:
    """Return the run that reaches a loss at the least cost 6 N D + 2 N T.

    Parameters
    ----------
    surface : Surface
    loss : float or array (draws,)
    demand : float
        T: tokens to be served, or what they cost in trained tokens (see `scalebed.decide.costs`).
    most : float
        Largest N.
    """
    count = len(surface.theta)
    wanted = np.broadcast_to(np.asarray(loss, float), (count,))[:, None]

    def cost(params: Array) -> Array:
        tokens = surface.tokens_for(params, wanted)
        return np.log(6 * params * tokens + 2 * params * demand)

    params = _least(cost, count, most)
    tokens = surface.tokens_for(params[:, None], wanted)[:, 0]
    usable = np.isfinite(tokens)
    params, tokens = (np.where(usable, column, np.nan) for column in (params, tokens))
    return Best(params, tokens, np.where(usable, wanted[:, 0], np.nan))


def demand_of(surface: Surface, params: float, tokens: float) -> Array:
    """Tokens served for which a run would be optimal, (draws,).

    T = 3 D (theta - 1) with theta = (N dL/dN) / (D dL/dD), which is alpha A N^-alpha /
    (beta B D^-beta) under Chinchilla's law. Negative where the run is larger than compute-optimal.
    """
    step = 1e-4
    up, down = np.exp(step), np.exp(-step)
    n, d = np.array([params]), np.array([tokens])
    by_params = surface.loss(n * up, d) - surface.loss(n * down, d)
    by_tokens = surface.loss(n, d * up) - surface.loss(n, d * down)
    result: Array = 3 * tokens * (by_params / by_tokens - 1)[:, 0]
    return result


def _least(cost: Callable[[Array], Array], count: int, most: float) -> Array:
    """Minimise a function of N with one valley, in every draw: a grid that is drawn closer.

    Parameters
    ----------
    cost : callable
        From N (draws, n) to what is minimised; infinite where there is no run.
    count : int
        Draws.
    most : float
        Largest N.

    Returns
    -------
    array (draws,)
        NaN where the least lies at an end of the range that is no cap, or nowhere.
    """
    low, high = np.log(LEAST), np.log(min(most, MOST))
    at = np.broadcast_to(np.linspace(low, high, _NODES), (count, _NODES))
    rows = np.arange(count)
    lost, centre = np.zeros(count, dtype=bool), np.zeros(count)
    for turn in range(_ROUNDS):
        found = np.nan_to_num(cost(np.exp(at)), nan=np.inf, posinf=np.inf)
        best = np.argmin(found, axis=1)
        if turn == 0:
            lost = ~np.isfinite(found[rows, best]) | (best == 0)
            lost |= (best == _NODES - 1) & (most >= MOST)
        centre, apart = at[rows, best], at[:, 1:2] - at[:, :1]
        at = np.clip(centre[:, None] + apart * np.linspace(-1.0, 1.0, _ZOOM), low, high)
    for step in _STEPS:
        centre = np.minimum(_vertex(cost, centre, step), high)
    return np.where(lost, np.nan, np.exp(centre))


def _vertex(cost: Callable[[Array], Array], centre: Array, step: float) -> Array:
    """Move to the vertex of the parabola through three points, where they have one nearby."""
    left, here, right = cost(np.exp(centre[:, None] + step * np.array([-1.0, 0.0, 1.0]))).T
    with np.errstate(invalid="ignore", divide="ignore"):
        move = step / 2 * (left - right) / (left - 2 * here + right)
    return np.where(np.abs(move) <= 2 * step, centre + move, centre)
