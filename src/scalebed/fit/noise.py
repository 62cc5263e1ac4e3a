"""How far runs lie from the law: the lack-of-fit sigma, and reproducible random streams.

The published evaluation intervals are 25 times narrower than the scatter of runs about the law, so
they say nothing about predictions. The scatter is estimated where there are degrees of freedom: on
the other data sets of the study, each with a law of its own fitted to all cells that are no
targets.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from scalebed.fit.result import FitRefusedError, FitResult, fit_law
from scalebed.laws.base import Array, Inputs, Mask, SharedExponentLaw


@dataclass(frozen=True)
class Scatter:
    """Residuals of one law on one data set.

    Attributes
    ----------
    squares : float
        Sum of squared residuals, relative to the fitted loss or absolute for an error.
    dof : int
        Points minus parameters.
    points : int
    sampling : float
        Mean variance of the measurement itself (error laws; 0 for losses).
    """

    squares: float
    dof: int
    points: int
    sampling: float


@dataclass(frozen=True)
class Sigma:
    """Lack-of-fit standard deviation with the degrees of freedom it was estimated from.

    Attributes
    ----------
    value : float
        Relative to the loss, or absolute for an error (measurement variance taken out).
    dof : int
    source : str
        Where it comes from, for the reader.
    """

    value: float
    dof: int
    source: str

    def sample(self, rng: np.random.Generator, draws: int) -> Array:
        """Sigma of each draw: value * sqrt(dof / chi2(dof)).

        With few degrees of freedom sigma itself is uncertain; this makes the intervals those of
        Student's t, as in the delta method, and is nothing when dof is large.
        """
        sample: Array = self.value * np.sqrt(self.dof / rng.chisquare(self.dof, draws))
        return sample


def stream(seed: int, *names: str) -> np.random.Generator:
    """Return a generator that depends on seed and names only, never on the order of work."""
    text = "\x00".join((str(seed), *names))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))


def normals(seed: int, cells: tuple[str, ...], draws: int, *names: str) -> Array:
    """Draw standard normals (draws, cells), one stream a cell: adding one changes no other."""
    if not cells:
        return np.empty((draws, 0))
    columns = [stream(seed, *names, cell).standard_normal(draws) for cell in cells]
    return np.stack(columns, axis=1)


def scatter(
    law: SharedExponentLaw, x: Inputs, y: Array, sampling: Array, use: Mask
) -> Scatter | None:
    """Scatter about a law fitted to the used points; None if the law is refused there."""
    try:
        fit = fit_law(law, tuple(column[use] for column in x), y[use])
    except FitRefusedError:
        return None
    return scatter_of(fit, sampling[use])


def scatter_of(fit: FitResult, sampling: Array) -> Scatter:
    """Scatter about a fit."""
    residuals = fit.residuals / fit.fitted if fit.law.kind == "loss" else fit.residuals
    squares = float(residuals @ residuals)
    dof = fit.certificate.degrees_of_freedom
    return Scatter(squares, dof, residuals.size, float(np.mean(sampling**2)))


def choose_sigma(dataset: str, grids: dict[str, Scatter | None], own: Scatter) -> Sigma | None:
    """Sigma for one data set: from the others, else its own wider grid, else its own fit.

    Parameters
    ----------
    dataset : str
    grids : dict
        Scatter of every data set on all of its cells that are no targets.
    own : Scatter
        Scatter of the fit itself.

    Returns
    -------
    Sigma or None
        None if nothing leaves a degree of freedom.
    """
    others = {
        name: found for name, found in grids.items() if name != dataset and found and found.dof
    }
    if others:
        names = ", ".join(sorted(others))
        return _sigma(list(others.values()), f"pooled over the other data sets ({names})")
    grid = grids.get(dataset)
    if grid is not None and grid.points > own.points and grid.dof:
        return _sigma([grid], "this data set's own wider grid, as no other data set has one")
    if own.dof:
        return _sigma([own], "this fit's own residuals (Student t), as there is no wider grid")
    return None


def _sigma(parts: list[Scatter], where: str) -> Sigma:
    dof = sum(part.dof for part in parts)
    variance = sum(part.squares for part in parts) / dof
    sampling = sum(part.sampling * part.points for part in parts)
    sampling /= sum(part.points for part in parts)
    value = float(np.sqrt(max(variance - sampling, 0.0)))
    return Sigma(value, dof, f"{where}, {dof} degrees of freedom")
