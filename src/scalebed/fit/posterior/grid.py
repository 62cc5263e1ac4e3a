"""The posterior on a grid of exponents and scatter that closes in on where the mass is.

Given the exponents the law is linear in E, A and B, so these are integrated in closed form; that
none of them is negative is kept by drawing (`scalebed.fit.posterior.draw`). Deviations from the
law are relative to the measured loss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_ndtr

from scalebed.fit.posterior.beliefs import Beliefs
from scalebed.fit.posterior.between import LogDensity, Scatters, known_scatter
from scalebed.fit.posterior.covariance import Covariance, Products, covariances
from scalebed.fit.posterior.points import Points
from scalebed.laws.forms.base import Array, Index

EXPONENTS = (0.02, 1.2)
_SCATTERS = (np.log(1e-5), np.log(0.5))
_NODES, _LEVELS = 40, 33
_STAGES = 12
_ENOUGH = 150.0
"""Nodes that carry the mass, counted by 1 / sum of squares."""
_RESOLVED, _KEPT = 8.0, 30
"""Nodes from which on their mass says where to look; as long as it does not, the best are kept."""
_TAIL = 1e-5
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class Box:
    """Where the grid lies: limits of alpha, beta and log s."""

    alpha: tuple[float, float] = EXPONENTS
    beta: tuple[float, float] = EXPONENTS
    scatter: tuple[float, float] = _SCATTERS


@dataclass(frozen=True)
class Linear:
    """E and the two terms given the exponents, for one covariance; a row a node.

    Attributes
    ----------
    covariance : Covariance
    mean : array (nodes, 3)
    spread : array (nodes, 3, 3)
        Covariance for a scatter of 1.
    limit : array (nodes, levels)
        Log of an upper bound of the probability that none is negative.
    log_mass : array (nodes, levels)
        Log of the posterior mass, with that bound.
    """

    covariance: Covariance
    mean: Array
    spread: Array
    limit: Array
    log_mass: Array


@dataclass(frozen=True)
class Posterior:
    """The grid at its last stage.

    Attributes
    ----------
    points : Points
    middle : (float, float)
        N and D that the terms of the law are taken at.
    alpha, beta : array (nodes,)
    log_scatter : array (levels,)
    parts : tuple of Linear
        One for every covariance that carries mass.
    nodes : float
        Effective number of exponents.
    edge : float
        Share of the mass at the limits of what is searched.
    scatters : Scatters
    """

    points: Points
    middle: tuple[float, float]
    alpha: Array
    beta: Array
    log_scatter: Array
    parts: tuple[Linear, ...]
    nodes: float
    edge: float
    scatters: Scatters

    @property
    def mass(self) -> Array:
        """Posterior probability by covariance, node and level, (parts, nodes, levels)."""
        stacked = np.stack([part.log_mass for part in self.parts])
        mass = np.exp(stacked - stacked.max())
        normal: Array = mass / mass.sum()
        return normal


def fit_posterior(
    points: Points, beliefs: Beliefs | None = None, scatter: LogDensity | None = None
) -> Posterior:
    """Compute the posterior.

    Parameters
    ----------
    points : Points
        Finite numbers above 0; at least one.
    beliefs : Beliefs, optional
    scatter : callable, optional
        Log density of the logarithm of the scatter, see `known_scatter`.
    """
    beliefs = beliefs or Beliefs()
    scatter = scatter or known_scatter(beliefs)
    used = list(covariances(points, beliefs))
    middle = (_middle(points.params), _middle(points.tokens))
    box, whole = Box(), None
    for _ in range(_STAGES):
        found = _stage(points, beliefs, scatter, used, middle, box)
        # The likelihood of the scatter is wanted over all of its range, not where the mass is.
        whole = whole or found.scatters
        kept = found.mass.sum((1, 2)) > _NEGLIGIBLE
        used = [part.covariance for part, keep in zip(found.parts, kept, strict=True) if keep]
        closer = _closer(found, box)
        if found.nodes >= _ENOUGH or closer == box:
            break
        box = closer
    finer = _likelihood(whole, found.scatters)
    parts = tuple(part for part, keep in zip(found.parts, kept, strict=True) if keep)
    return replace(found, parts=parts, scatters=finer)


def _stage(
    points: Points,
    beliefs: Beliefs,
    scatter: LogDensity,
    used: list[Covariance],
    middle: tuple[float, float],
    box: Box,
) -> Posterior:
    alphas, betas = np.linspace(*box.alpha, _NODES), np.linspace(*box.beta, _NODES)
    level = np.linspace(*box.scatter, _LEVELS)
    alpha, beta = np.repeat(alphas, _NODES), np.tile(betas, _NODES)
    prior = -0.5 * ((alpha - beliefs.alpha) / beliefs.alpha_sd) ** 2 - np.log(beta)
    prior -= 0.5 * (np.log(beta / alpha) / beliefs.tie_sd) ** 2
    columns = columns_of(points, alphas, betas, middle)
    sums: dict[int, Products] = {}
    parts = []
    for covariance in used:
        groups = covariance.groups
        if id(groups) not in sums:
            sums[id(groups)] = Products.of(groups, columns)
        gram = covariance.gram(sums[id(groups)])
        shared = -0.5 * covariance.size_share * np.exp(2 * level) / beliefs.shared_most**2
        rows = points.loss.size
        fixed = prior + covariance.log_prior - 0.5 * covariance.log_determinant
        parts.append(_linear(covariance, gram, fixed, scatter(level) + shared, level, rows))
    stacked = np.stack([part.log_mass for part in parts])
    mass = np.exp(stacked - stacked.max())
    by_node = mass.sum((0, 2)) / mass.sum()
    by_level = np.log(np.maximum(mass.sum((0, 1)), 1e-300)) - scatter(level)
    return Posterior(
        points,
        middle,
        alpha,
        beta,
        level,
        tuple(parts),
        nodes=float(1 / np.sum(by_node**2)),
        edge=_edge(by_node.reshape(_NODES, _NODES), box),
        scatters=Scatters(level, by_level - by_level.max()),
    )


def columns_of(points: Points, alphas: Array, betas: Array, middle: tuple[float, float]) -> Array:
    """Columns 1 / L, 1, N^-alpha / L for every alpha, D^-beta / L for every beta, (n, k)."""
    weight = 1 / points.loss
    size, data = np.log(points.params / middle[0]), np.log(points.tokens / middle[1])
    return np.concatenate(
        [
            weight[:, None],
            np.ones((weight.size, 1)),
            np.exp(-size[:, None] * alphas) * weight[:, None],
            np.exp(-data[:, None] * betas) * weight[:, None],
        ],
        axis=1,
    )


def _linear(
    covariance: Covariance, gram: Array, fixed: Array, by_level: Array, level: Array, rows: int
) -> Linear:
    """Least squares at every node, and its mass at every scatter."""
    first, second = _places()
    at = np.stack([np.zeros_like(first), first, second], axis=1)
    normal = gram[at[:, :, None], at[:, None, :]]
    right = gram[at, 1]
    length = np.sqrt(np.einsum("cii->ci", normal))
    scaled = normal / (length[:, :, None] * length[:, None, :])
    # Terms that the runs cannot tell apart keep a finite, very wide, spread.
    scaled = scaled + 1e-11 * np.eye(3)
    spread = np.linalg.inv(scaled) / (length[:, :, None] * length[:, None, :])
    mean = np.einsum("cij,cj->ci", spread, right)
    squares = np.maximum(gram[1, 1] - np.einsum("ci,ci->c", mean, right), 1e-14 * rows)
    volume = np.linalg.slogdet(scaled)[1] + 2 * np.log(length).sum(1)
    least = np.min(mean / np.sqrt(np.einsum("cii->ci", spread)), axis=1)
    limit = least[:, None] * np.exp(-level)
    limit = np.where(limit > 8, 0.0, log_ndtr(np.minimum(limit, 8.0)))
    log_mass = (fixed - 0.5 * volume)[:, None] + by_level - (rows - 3) * level
    log_mass = log_mass - squares[:, None] / 2 * np.exp(-2 * level) + limit
    return Linear(covariance, mean, spread, limit, log_mass)


def _places() -> tuple[Index, Index]:
    """Columns of the two terms of every node, see `columns_of`."""
    nodes = np.arange(_NODES)
    return np.repeat(2 + nodes, _NODES), np.tile(2 + _NODES + nodes, _NODES)


def _closer(found: Posterior, box: Box) -> Box:
    """Limits of the next grid.

    On a grid too coarse for the mass its best node is the nearest to a ridge, not to the top, and
    the scatter at the top is smaller than anywhere on it: so the best nodes are all kept.
    """
    if found.nodes < _RESOLVED:
        stacked = np.stack([part.log_mass for part in found.parts])
        best = np.argsort(np.logaddexp.reduce(stacked, axis=(0, 2)))[-_KEPT:]
        return Box(
            _around(found.alpha[best], box.alpha), _around(found.beta[best], box.beta), box.scatter
        )
    mass = found.mass
    by_node, by_level = mass.sum((0, 2)).reshape(_NODES, _NODES), mass.sum((0, 1))
    return Box(
        _within(by_node.sum(1), box.alpha, EXPONENTS),
        _within(by_node.sum(0), box.beta, EXPONENTS),
        _within(by_level, box.scatter, _SCATTERS),
    )


def _around(kept: Array, limits: tuple[float, float]) -> tuple[float, float]:
    """Two steps beyond the nodes that are kept."""
    step = 2 * (limits[1] - limits[0]) / (_NODES - 1)
    low, high = float(kept.min()) - step, float(kept.max()) + step
    return max(low, EXPONENTS[0]), min(high, EXPONENTS[1])


def _within(
    mass: Array, limits: tuple[float, float], most: tuple[float, float]
) -> tuple[float, float]:
    """Limits that leave out the tails, a step beyond them."""
    at = np.linspace(*limits, mass.size)
    step = at[1] - at[0]
    below = np.cumsum(mass) / mass.sum()
    low = at[int(np.searchsorted(below, _TAIL))] - step
    high = at[min(int(np.searchsorted(below, 1 - _TAIL)), mass.size - 1)] + step
    return max(float(low), most[0]), min(float(high), most[1])


def _edge(by_node: Array, box: Box) -> float:
    """Mass at the limits of the exponents."""
    sides = [
        (by_node[0].sum(), box.alpha[0] == EXPONENTS[0]),
        (by_node[-1].sum(), box.alpha[1] == EXPONENTS[1]),
        (by_node[:, 0].sum(), box.beta[0] == EXPONENTS[0]),
        (by_node[:, -1].sum(), box.beta[1] == EXPONENTS[1]),
    ]
    return float(sum(mass for mass, at_limit in sides if at_limit))


def _likelihood(whole: Scatters, closer: Scatters) -> Scatters:
    """Join the likelihood over the whole range with the finer one where the mass is."""
    outside = (whole.log_scatter < closer.log_scatter[0]) | (
        whole.log_scatter > closer.log_scatter[-1]
    )
    # The two differ by a constant; where they meet they agree.
    middle = closer.log_scatter[int(np.argmax(closer.log_likelihood))]
    shift = np.interp(middle, whole.log_scatter, whole.log_likelihood)
    at = np.concatenate([whole.log_scatter[outside], closer.log_scatter])
    values = np.concatenate([whole.log_likelihood[outside] - shift, closer.log_likelihood])
    order = np.argsort(at)
    return Scatters(at[order], values[order])


def _middle(values: Array) -> float:
    return float(np.exp(np.mean(np.log(values))))
