"""Runs of two data sets that are alike in N, D and seed, and what they are off their laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import ndtri

from scalebed.fit.pooling.luck import Correlation
from scalebed.laws.forms.base import Array, Index, Law, Mask
from scalebed.predict.draws import one_sigma
from scalebed.predict.runs import Runs
from scalebed.predict.scatter import OWN_DOF
from scalebed.predict.stages import Measured

# Sizes are rounded to whole layers and tokens to whole steps.
_SAME: Final = 1.03
_ROUNDING: Final = 1e-6


@dataclass(frozen=True)
class Cells:
    """Runs that a law was fitted to.

    Attributes
    ----------
    design : array (n, 2)
        Logarithms of N and D.
    seed : int array (n,)
    rest : array (n,)
        Deviations from the fit in units of the scatter.
    moved : array (draws, n)
        Values of the draws of the law, in the same units.
    covariance : array (n, n)
        Of the deviations within the data set, with 1 on its diagonal.
    parameters : int
        Of the law.
    """

    design: Array
    seed: Index
    rest: Array
    moved: Array
    covariance: Array
    parameters: int

    def take(self, rows: Index) -> Cells:
        """Return some of them, made independent of each other."""
        root = np.linalg.cholesky(self.covariance[np.ix_(rows, rows)])
        rest = solve_triangular(root, self.rest[rows], lower=True)
        moved = solve_triangular(root, self.moved[:, rows].T, lower=True).T
        known = (self.design[rows], self.seed[rows], rest, moved)
        return Cells(*known, np.eye(rows.size), self.parameters)

    @cached_property
    def leverage(self) -> Array:
        """Part of the variance of a deviation that the fit takes up, (n,)."""
        found = np.minimum(one_sigma(self.moved) ** 2, 1.0)
        # Draws of a scatter that is itself uncertain are wider than what a fit takes up.
        return found * min(1.0, self.parameters / max(float(found.sum()), 1e-12))

    def pull(self, values: Array) -> Array:
        """Move of draws by one standard deviation in units of theirs, (n,): a covariance by ranks.

        Parameters
        ----------
        values : array (draws,)
            Of anything that the same draws say.
        """
        found: Array = normal_scores(self.moved).T @ normal_scores(values[:, None])[:, 0]
        return found / len(values) * one_sigma(self.moved)


class Together(NamedTuple):
    """Runs that are alike in several data sets, and how they deviate together."""

    sets: list[Cells]
    rows: Index
    """Which runs of each data set these are, (sets, n)."""
    correlation: Correlation

    def carried(self, values: Sequence[Array]) -> float:
        """How much of the correlation of runs two predictions have, -1 .. 1.

        To first order in rho the covariance of two posteriors whose noise is correlated is
        rho Cov(a, f) Cov(g, b) / (s_f s_g), f and g being the fitted values of runs that are alike.

        Parameters
        ----------
        values : pair of arrays (draws,)
            Predictions of the draws of each data set.
        """
        one, two = (cells.pull(at) for cells, at in zip(self.sets, values, strict=True))
        return float(np.clip(one @ two, -1.0, 1.0))


def cells_of(
    runs: Runs,
    used: Mask,
    measured: Measured,
    drawn: tuple[Law, Array],
    scatter: float,
    covariance: Array | None = None,
) -> Cells | None:
    """Return how the runs of a fit lie about its law; None if their seeds or the scatter lack.

    Parameters
    ----------
    runs : Runs
    used : bool array
        Runs of the fit.
    measured : Measured
        Their values.
    drawn : (Law, array (1 + draws, p))
        The law, and its parameters: the fit, then its draws.
    scatter : float
        Of a run, measurement included: relative for a loss, absolute for an error.
    covariance : array (n, n), optional
        Independent without.
    """
    if runs.seed is None or not scatter > 0 or not used.any() or len(drawn[1]) < 2:
        return None
    law, theta = drawn
    values = law.predict(theta, measured.x)
    unit = scatter * (values[0] if law.kind == "loss" else 1.0)
    design = np.log(np.stack([runs.params[used], runs.tokens[used]], axis=1))
    rest, moved = (measured.y - values[0]) / unit, values[1:] / unit
    known = np.eye(measured.y.size) if covariance is None else covariance
    return Cells(design, runs.seed[used], rest, moved, known, len(law.parameters))


def together(sets: Sequence[Cells | None]) -> Together | None:
    """Find runs that every data set has, and weigh how they deviate together.

    None where they leave fewer than `OWN_DOF` degrees of freedom: then the belief would decide, and
    two data sets would be told apart by it.
    """
    known = [cells for cells in sets if cells is not None]
    if len(known) < len(sets):
        return None
    rows = _alike(known)
    if rows.shape[1] < OWN_DOF:
        return None
    found = [cells.take(at) for cells, at in zip(known, rows, strict=True)]
    rest = np.stack([cells.rest for cells in found])
    if not np.all(np.any(rest != 0, axis=1)):
        return None
    # What the fits take up of both is no sign of anything.
    taken = np.exp(np.mean([np.log(cells.leverage + 1e-12) for cells in found], axis=0))
    dof = float(np.sum(1 - taken))
    if dof < OWN_DOF - _ROUNDING:
        return None
    return Together(found, rows, Correlation.of(rest, dof))


def _alike(sets: Sequence[Cells]) -> Index:
    """Rows of every data set, (sets, n), one to one."""
    first, found = sets[0], np.arange(len(sets[0].seed))[None]
    for cells in sets[1:]:
        off = np.abs(first.design[:, None] - cells.design[None]).max(2)
        near = (off < np.log(_SAME)) & (first.seed[:, None] == cells.seed[None])
        # Where two runs are alike in one data set nothing tells which is whose.
        near &= (near.sum(1) == 1)[:, None] & (near.sum(0) == 1)[None]
        partner = np.where(near.any(1), near.argmax(1), -1)
        found = np.concatenate([found, partner[None]])
    alike: Index = found[:, (found >= 0).all(0)]
    return alike


def normal_scores(values: Array) -> Array:
    """Return normal quantiles of the ranks of each column, (draws, n)."""
    ranks = np.argsort(np.argsort(values, axis=0, kind="stable"), axis=0, kind="stable")
    found: Array = ndtri((ranks + 0.5) / len(values))
    return found
