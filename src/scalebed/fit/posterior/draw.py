"""Draws from the posterior: parameters of the law, scatter, and deviations of new runs.

Nodes are drawn by their mass; E and the two terms follow a normal distribution cut off at 0
(`scalebed.fit.posterior.orthant`) and are resampled by their weights, which makes them exact but
for the number of draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.fit.posterior.covariance import together
from scalebed.fit.posterior.grid import Linear, Posterior, columns_of
from scalebed.fit.posterior.orthant import Normals, positive
from scalebed.fit.posterior.points import Points
from scalebed.laws.forms.base import Array, Index

_SPARE: Final = 3
"""Draws for each one that is kept."""


@dataclass(frozen=True)
class Draws:
    """Draws of a posterior, all of the same worlds.

    Attributes
    ----------
    posterior : Posterior
    theta : array (draws, 5)
        E, A, B, alpha, beta in the units of the law.
    scatter : array (draws,)
        Standard deviation of a run about the law, relative to its loss.
    part : int array (draws,)
        Which covariance of `Posterior.parts`.
    effective : float
        How many independent draws those are worth that the weights resampled.
    """

    posterior: Posterior
    theta: Array
    scatter: Array
    part: Index
    effective: float

    @classmethod
    def of(cls, posterior: Posterior, count: int, rng: np.random.Generator) -> Draws:
        """Draw from a posterior.

        Raises
        ------
        ScalebedError
            If no law comes near the runs, such as with one N that no run can have.
        """
        mass = posterior.mass
        if not mass.size or not np.isfinite(mass).all():
            raise _none(posterior.points)
        many = rng.choice(mass.size, size=_SPARE * count, p=mass.ravel())
        part, node, level = np.unravel_index(many, mass.shape)
        step = posterior.log_own[1] - posterior.log_own[0]
        jitter = step * (rng.random(many.size) - 0.5)
        totals = np.stack([one.log_scatter(posterior.log_own) for one in posterior.parts])
        scatter = np.exp(totals[part, level] + jitter)
        terms, weight = _terms(posterior.parts, (part, node, level), scatter, rng)
        if not np.isfinite(weight.max()):
            raise _none(posterior.points)
        share = np.exp(weight - weight.max())
        share /= share.sum()
        even = (np.arange(count) + rng.random()) / count
        kept = np.minimum(np.searchsorted(np.cumsum(share), even), many.size - 1)
        rng.shuffle(kept)
        alpha, beta = posterior.alpha[node[kept]], posterior.beta[node[kept]]
        size, data = posterior.middle
        floor, above, below = terms[kept].T
        theta = np.stack([floor, above * size**alpha, below * data**beta, alpha, beta], axis=1)
        effective = min(float(1 / np.sum(share**2)), float(count))
        return cls(posterior, theta, scatter[kept], part[kept], effective)

    def deviations(self, new: Points, normal: Array) -> Array:
        """Deviations of new runs from the law of each draw, relative to it, (draws, m).

        Parameters
        ----------
        new : Points
            Runs that were not fitted; `loss` is not read. A size among the fitted ones shares what
            those share, and so does a group among the fitted ones.
        normal : array (draws, m)
            Standard normals.
        """
        same = together(self.posterior.points, new)
        result = np.array(normal)
        for k, part in enumerate(self.posterior.parts):
            rows = np.flatnonzero(self.part == k)
            covariance = part.covariance
            known = np.ones(new.params.size)
            shift = np.zeros((rows.size, new.params.size))
            shared = covariance.alike(same)
            if shared is not None and rows.size:
                solved = covariance.solve(shared)
                known -= np.einsum("nm,nm->m", shared, solved)
                shift = self._residuals(rows, solved)
            scale = self.scatter[rows, None] * np.sqrt(np.maximum(known, 1e-6))
            result[rows] = shift + scale * normal[rows]
        return result

    def shared(self, place: int) -> float:
        """Mean part of the variance that rows of one group share, by its place in the groups."""
        parts = [dict(part.covariance.kinds).get(place, 0.0) for part in self.posterior.parts]
        return float(np.mean(np.array(parts)[self.part]))

    @cached_property
    def _columns(self) -> tuple[Array, Array, Array]:
        """Columns of the points at the nodes of the last grid, and those nodes."""
        posterior = self.posterior
        alphas, betas = np.unique(posterior.alpha), np.unique(posterior.beta)
        return columns_of(posterior.points, alphas, betas, posterior.middle), alphas, betas

    def _residuals(self, rows: Index, solved: Array) -> Array:
        """Weigh the deviations of the points from the law of some draws by solved', (rows, m)."""
        columns, alphas, betas = self._columns
        pulled = solved.T @ columns
        floor, size, data, alpha, beta = self.theta[rows].T
        middle = self.posterior.middle
        i = 2 + np.searchsorted(alphas, alpha)
        j = 2 + alphas.size + np.searchsorted(betas, beta)
        fitted = (
            pulled[:, 0] * floor[:, None]
            + pulled[:, i].T * (size * middle[0] ** -alpha)[:, None]
            + pulled[:, j].T * (data * middle[1] ** -beta)[:, None]
        )
        rest: Array = pulled[:, 1] - fitted
        return rest


def _none(points: Points) -> ScalebedError:
    """Return what is said where no law comes near the runs."""
    columns = {"N": points.params, "D": points.tokens, "loss": points.loss}
    said = (f"{name} {one.min():.3g} to {one.max():.3g}" for name, one in columns.items())
    return ScalebedError(
        f"no law can be drawn for runs with {', '.join(said)}: expected runs that one law describes"
    )


def _terms(
    parts: tuple[Linear, ...],
    at: tuple[Index, Index, Index],
    scatter: Array,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """E and the two terms of every draw, none negative, (k, 3), and the log of its weight, (k,)."""
    part, node, level = at
    normals, limit = Normals.empty(part.size), np.empty(part.size)
    for k, one in enumerate(parts):
        rows = np.flatnonzero(part == k)
        normals.put(rows, one.normals(node[rows]))
        limit[rows] = one.limit[node[rows], level[rows]]
    terms, chance = positive(normals, scatter, limit, rng)
    return terms, chance - limit
