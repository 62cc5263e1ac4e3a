"""The noise of the fitted runs, drawn again: what all predictions of a split share.

In every redraw the fitted runs deviate anew, and the predictions of a law move as
`scalebed.fit.sensitivity` says: to first order, as refits of every law would take hours. How far
the runs deviate is known from the residuals of the study's own law, or of the law itself where it
predicts errors without a loss. The deviation of a run, in units of that scatter, is the same for
every law, split and response; so what two laws share of it cancels in their difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scalebed.checks.tournament.splits import cluster_numbers
from scalebed.fit.result import FitResult
from scalebed.fit.robust import mean_square
from scalebed.fit.sensitivity import sensitivity, unit
from scalebed.laws.forms.base import Array, Index, Inputs, Mask
from scalebed.predict.runs import Runs
from scalebed.predict.scatter import stream

REDRAWS = 200
"""Redraws: they know a standard deviation to 5 %."""


@dataclass(frozen=True)
class Fitted:
    """A law fitted to the cells of one data set.

    Attributes
    ----------
    at : int
        Number of the data set.
    used : bool array (n,)
        Cells it was fitted to.
    x : tuple of arrays
        Inputs it was fitted to.
    fit : FitResult
    """

    at: int
    used: Mask
    x: Inputs
    fit: FitResult

    def predict(self, new: Inputs) -> Array:
        """Predictions of new runs, (m,)."""
        return self.fit.predict(*new)

    def moves(self, new: Inputs) -> Array:
        """Change of each prediction for noise of one unit at each fitted cell, (m, used)."""
        # What a prior adds to the columns of the points is the same in every redraw.
        return sensitivity(self.fit, self.x, new)[:, : self.fit.fitted.size]


@dataclass(frozen=True)
class Noise:
    """Scatter of the runs about one law, over all data sets.

    Attributes
    ----------
    sd : float
        Relative to the loss, or absolute for an error; 0 if nothing is left to estimate it from.
    shared : float
        Correlation of the deviations of two runs of the same (N, M) or trunk, 0 .. 1.
    dof : float
        Points minus parameters.
    """

    sd: float
    shared: float
    dof: float


@dataclass(frozen=True)
class Redraws:
    """Standard normal deviations of the runs of a study.

    Attributes
    ----------
    numbers : tuple of int array (n,)
        Number of the (N, M) of every cell of each data set, or of what trunks make of them, see
        `scalebed.checks.tournament.splits.cluster_numbers`.
    designs : array (draws, designs)
        What runs of one number have in common.
    cells : tuple of array (draws, n)
        What every run has of its own.
    """

    numbers: tuple[Index, ...]
    designs: Array
    cells: tuple[Array, ...]

    @property
    def draws(self) -> int:
        """Number of redraws."""
        return len(self.designs)

    def noise(self, fits: Sequence[Fitted]) -> Noise:
        """Scatter of one law, its fits to all data sets pooled.

        The correlation is the mean product of the residuals of two runs of the same number over the
        mean square of all residuals, where it is positive.
        """
        parts = [one.fit.residuals / unit(one.fit, one.fit.fitted) for one in fits]
        dof = float(sum(one.fit.certificate.degrees_of_freedom for one in fits))
        if dof <= 0:
            return Noise(0.0, 0.0, 0.0)
        rest = np.concatenate(parts)
        at = np.concatenate([self.numbers[one.at][one.used] for one in fits])
        squares = float(rest @ rest)
        sums, counts = np.bincount(at, rest), np.bincount(at)
        pairs = float(np.sum(counts * (counts - 1)))
        products = float(sums @ sums) - squares
        mean = squares / rest.size
        shared = products / pairs / mean if pairs and mean else 0.0
        return Noise(float(np.sqrt(squares / dof)), float(np.clip(shared, 0.0, 1.0)), dof)

    def predictions(self, one: Fitted, noise: Noise, new: Inputs) -> Array:
        """Predictions of a law fitted to redrawn runs, to first order, (draws, m).

        Parameters
        ----------
        one : Fitted
        noise : Noise
        new : tuple of arrays (m,) or (draws, m)
        """
        fit = one.fit
        middle = tuple(column if column.ndim == 1 else column.mean(0) for column in new)
        moves = self.normals(one, noise) @ one.moves(middle).T
        predicted = one.predict(new)
        moved: Array = predicted + noise.sd * moves * unit(fit, predicted)
        return moved if fit.law.kind == "loss" else np.clip(moved, 0.0, 1.0)

    def error(self, at: int, cell: int, error: float, noise: Noise) -> Array:
        """Error of one run of a data set as it would be measured again, (draws,)."""
        both = self._normals(at, np.array([cell]), noise)
        return np.clip(error + noise.sd * both[:, 0], 0.0, 1.0)

    def normals(self, one: Fitted, noise: Noise) -> Array:
        """Deviations of the fitted runs in units of their scatter, (draws, n).

        Huber's loss limits residuals to its delta: what moves such a fit is the limited deviation,
        here in units of its own standard deviation.
        """
        normal = self._normals(one.at, np.flatnonzero(one.used), noise)
        options = one.fit.options
        if options.objective == "huber_log" and noise.sd:
            limit = options.delta / noise.sd
            normal = np.clip(normal, -limit, limit) / math.sqrt(mean_square(1.0, limit))
        return normal

    def _normals(self, at: int, cells: Index, noise: Noise) -> Array:
        common = self.designs[:, self.numbers[at][cells]]
        own = self.cells[at][:, cells]
        normal: Array = np.sqrt(noise.shared) * common + np.sqrt(1 - noise.shared) * own
        return normal


def redraws_of(sets: Sequence[Runs], seed: int, kind: str, draws: int = REDRAWS) -> Redraws:
    """Draw the deviations of the runs of a study.

    Parameters
    ----------
    sets : sequence of Runs
    seed : int
    kind : {"loss", "error"}
        What deviates.
    draws : int, optional
    """
    numbers = cluster_numbers(sets)
    sizes = [number.size for number in numbers]
    _, joined = np.unique(np.concatenate(numbers), return_inverse=True)
    names = ("tournament", "redraws", kind)
    designs = stream(seed, *names).standard_normal((draws, int(joined.max()) + 1))
    cells = tuple(
        stream(seed, *names, runs.dataset).standard_normal((draws, size))
        for runs, size in zip(sets, sizes, strict=True)
    )
    return Redraws(tuple(np.split(joined, np.cumsum(sizes)[:-1])), designs, cells)
