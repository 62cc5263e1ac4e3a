"""The posterior on a grid of exponents and scatter that closes in on where the mass is.

Given the exponents the law is linear in E, A and B, so these are integrated in closed form; that
none of them is negative is kept by drawing (`scalebed.fit.posterior.draw`). Deviations from the
law are relative to a smooth guess of the loss: relative to the measured loss a law that is too low
would make its own noise look small, which it does where runs share what they are off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from scalebed.fit.posterior.beliefs import Beliefs
from scalebed.fit.posterior.between import LogDensity, Scatters, joined, known_scatter, likelihood
from scalebed.fit.posterior.boxes import (
    LEVELS,
    LEVELS_RESOLVED,
    NODES,
    RESOLVED,
    Box,
    closer,
    edge,
    effective,
)
from scalebed.fit.posterior.covariance import Covariance, Products, covariances
from scalebed.fit.posterior.orthant import Normals
from scalebed.fit.posterior.points import Points
from scalebed.laws.forms.base import Array, Index

_STAGES = 12
_ENOUGH = 150.0
"""Nodes that carry the mass, counted by 1 / sum of squares."""
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class Linear:
    """E and the two terms given the exponents, for one covariance; a row a node.

    Attributes
    ----------
    covariance : Covariance
    gram : array (k, k)
        Products of the columns of `columns_of`.
    mean : array (nodes, 3)
    spread : array (nodes, 3, 3)
        Covariance for a scatter of 1.
    limit : array (nodes, levels)
        Log of an upper bound of the probability that none is negative.
    log_mass : array (nodes, levels)
        Log of the posterior mass, with that bound.
    """

    covariance: Covariance
    gram: Array
    mean: Array
    spread: Array
    limit: Array
    log_mass: Array

    def log_scatter(self, log_own: Array) -> Array:
        """Logarithm of the whole scatter of a run, from that of a row alone."""
        return log_own - 0.5 * np.log(self.covariance.own)

    def normals(self, node: Index) -> Normals:
        """Return what is known of E and the terms at some nodes."""
        from scalebed.fit.solvers.kernels.nodes import RIDGE

        first = np.zeros_like(node)
        at = np.stack([first, 2 + node // NODES, 2 + NODES + node % NODES], axis=1)
        precision = self.gram[at[:, :, None], at[:, None, :]]
        precision[:, range(3), range(3)] *= 1 + RIDGE
        return Normals(self.mean[node], self.spread[node], precision, self.gram[at, 1])

    def likelihood(self, log_own: Array, scatter: LogDensity) -> tuple[Array, Array]:
        """Logarithm of the scatter, and of its likelihood: the mass without what was known."""
        from scalebed.fit.solvers.kernels import nodes

        whole, most = self.log_scatter(log_own), self.log_mass.max(0)
        mass = nodes.exponential(self.log_mass - most).sum(0)
        return whole, np.log(mass) + most - scatter(whole)


@dataclass(frozen=True)
class Posterior:
    """The grid at its last stage.

    Attributes
    ----------
    points : Points
    middle : (float, float)
        N and D that the terms of the law are taken at.
    alpha, beta : array (nodes,)
    log_own : array (levels,)
        Logarithm of the scatter of a row alone, see `Linear.log_scatter`.
    parts : tuple of Linear
        One for every covariance that carries mass.
    nodes, levels : float
        Effective number of exponents and of levels.
    edge : float
        Share of the mass at the limits of what is searched.
    mass : array (parts, nodes, levels)
        Posterior probability by covariance, node and level.
    scatter : callable
        What was known of the scatter.
    whole : Scatters, optional
        Likelihood of the scatter over all of its range, where the grid lies in a part of it.
    """

    points: Points
    middle: tuple[float, float]
    alpha: Array
    beta: Array
    log_own: Array
    parts: tuple[Linear, ...]
    nodes: float
    levels: float
    edge: float
    mass: Array
    scatter: LogDensity
    whole: Scatters | None = None

    @property
    def covariance(self) -> Array:
        """Mean covariance of the deviations of the points, each having variance 1, (n, n)."""
        parts = zip(self.mass.sum((1, 2)), self.parts, strict=True)
        found: Array = np.sum([share * part.covariance.whole for share, part in parts], axis=0)
        return found

    @cached_property
    def scatters(self) -> Scatters:
        """Likelihood of the scatter."""
        own = likelihood([part.likelihood(self.log_own, self.scatter) for part in self.parts])
        return own if self.whole is None else joined(self.whole, own)


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
    box = Box()
    found = _stage(points, beliefs, scatter, used, middle, box)
    # The likelihood of the scatter is wanted over all of its range, not where the mass is.
    whole = found.scatters
    for _ in range(_STAGES):
        mass = found.mass.sum(0)
        nearer = closer(mass, found.alpha, found.beta, box)
        if (found.nodes >= _ENOUGH and found.levels >= LEVELS_RESOLVED) or nearer.is_near(box):
            break
        if found.nodes >= RESOLVED and found.levels >= LEVELS_RESOLVED:
            used = [part.covariance for part in _carrying(found).parts]
        box = nearer
        found = _stage(points, beliefs, scatter, used, middle, box)
    return replace(_carrying(found), whole=whole)


def _carrying(found: Posterior) -> Posterior:
    """Leave out parts that carry no mass."""
    kept = found.mass.sum((1, 2)) > _NEGLIGIBLE
    if kept.all():
        return found
    parts = tuple(part for part, keep in zip(found.parts, kept, strict=True) if keep)
    mass = found.mass[kept]
    return replace(found, parts=parts, mass=mass / mass.sum())


def _stage(
    points: Points,
    beliefs: Beliefs,
    scatter: LogDensity,
    used: list[Covariance],
    middle: tuple[float, float],
    box: Box,
) -> Posterior:
    from scalebed.fit.solvers.kernels import nodes

    alphas, betas = np.linspace(*box.alpha, NODES), np.linspace(*box.beta, NODES)
    level = np.linspace(*box.scatter, LEVELS)
    alpha, beta = np.repeat(alphas, NODES), np.tile(betas, NODES)
    prior = -0.5 * ((alpha - beliefs.alpha) / beliefs.alpha_sd) ** 2 - np.log(beta)
    prior -= 0.5 * (np.log(beta / alpha) / beliefs.tie_sd) ** 2
    columns = columns_of(points, alphas, betas, middle)
    sums: dict[int, Products] = {}
    parts = []
    log_mass = np.empty((len(used), alpha.size, level.size))
    for covariance, own in zip(used, log_mass, strict=True):
        groups = covariance.groups
        if id(groups) not in sums:
            sums[id(groups)] = Products.of(groups, columns)
        gram = covariance.gram(sums[id(groups)])
        total = level - 0.5 * np.log(covariance.own)
        shared = -0.5 * covariance.size_share * np.exp(2 * total) / beliefs.shared_most**2
        rows = points.loss.size
        fixed = prior + covariance.log_prior - 0.5 * covariance.log_determinant
        parts.append(_linear(covariance, gram, fixed, scatter(total) + shared, total, rows, own))
    mass = nodes.exponential(log_mass - log_mass.max())
    mass /= mass.sum()
    together = mass.sum(0)
    by_node, by_level = together.sum(1), together.sum(0)
    return Posterior(
        points,
        middle,
        alpha,
        beta,
        level,
        tuple(parts),
        nodes=effective(by_node),
        levels=effective(by_level),
        edge=edge(by_node, box),
        mass=mass,
        scatter=scatter,
    )


def columns_of(points: Points, alphas: Array, betas: Array, middle: tuple[float, float]) -> Array:
    """Columns 1, L, N^-alpha for every alpha, D^-beta for every beta, over the guess, (n, k)."""
    weight = 1 / points.guess
    size, data = np.log(points.params / middle[0]), np.log(points.tokens / middle[1])
    return np.concatenate(
        [
            weight[:, None],
            (points.loss * weight)[:, None],
            np.exp(-size[:, None] * alphas) * weight[:, None],
            np.exp(-data[:, None] * betas) * weight[:, None],
        ],
        axis=1,
    )


def _linear(
    covariance: Covariance,
    gram: Array,
    fixed: Array,
    by_level: Array,
    level: Array,
    rows: int,
    log_mass: Array,
) -> Linear:
    """Least squares at every node, and its mass at every scatter; `log_mass` is filled."""
    from scalebed.fit.solvers.kernels import nodes

    mean, spread = np.empty((fixed.size, 3)), np.empty((fixed.size, 3, 3))
    limit = np.empty_like(log_mass)
    nodes.fill(gram, fixed, level, by_level, rows, (mean, spread, limit, log_mass))
    return Linear(covariance, gram, mean, spread, limit, log_mass)


def _middle(values: Array) -> float:
    return float(np.exp(np.mean(np.log(values))))
