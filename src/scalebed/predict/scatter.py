"""How far runs lie from the law: the lack-of-fit sigma, and reproducible random streams.

The published evaluation intervals are 25 times narrower than the scatter of runs about the law, so
they say nothing about predictions. A fit with few degrees of freedom cannot tell its own scatter:
it is taken from how far the same design, fitted to the other data sets, was off on cells it was not
fitted to.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from scalebed.fit import robust
from scalebed.fit.options import Options
from scalebed.fit.result import FitRefusedError, FitResult, fit_law
from scalebed.fit.sensitivity import sensitivity, unit
from scalebed.laws.forms.base import Array, Inputs, Law, Mask

# On the published testbed own residuals beat those of the other data sets in five of six designs
# with 6 to 20 degrees of freedom (docs/uncertainty.md).
OWN_DOF: Final = 6


@dataclass(frozen=True)
class Scatter:
    """Size of the errors of one law on one data set.

    Attributes
    ----------
    squares : float
        Sum of squares, relative to the fitted loss or absolute for an error: dof times variance.
        Of Huber's fits the variance is that of a robust scale.
    dof : float
        Points minus parameters, priors counted for what they decide; for held-out cells the number
        of independent errors that would know the variance as well (Satterthwaite). A robust scale
        counts as the fewer degrees of freedom that would know it as well.
    points : int
    sampling : float
        Mean variance of the measurement itself (error laws; 0 for losses).
    held_out : bool
        Whether these are errors on cells that were not fitted, over what the fit alone makes of
        unit scatter; else they are residuals.
    """

    squares: float
    dof: float
    points: int
    sampling: float
    held_out: bool = False


@dataclass(frozen=True)
class Sigma:
    """Lack-of-fit standard deviation with the degrees of freedom it was estimated from.

    Attributes
    ----------
    value : float
        Relative to the loss, or absolute for an error (measurement variance taken out).
    dof : float
    source : str
        Where it comes from, for the reader.
    own : bool
        Whether it comes from the residuals of the fit itself.
    shared : float
        Part of the variance that branches of one trunk have in common, 0 where nothing tells it.
    """

    value: float
    dof: float
    source: str
    own: bool = False
    shared: float = 0.0

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
    law: Law,
    x: Inputs,
    y: Array,
    sampling: Array,
    use: Mask,
    fitted: Mask | None = None,
    options: Options | None = None,
) -> Scatter | None:
    """Scatter of one data set about a law.

    Parameters
    ----------
    law : Law
    x, y, sampling
        Inputs, values and sampling errors of all runs.
    use : bool array (n,)
        Runs that may estimate the scatter.
    fitted : bool array (n,), optional
        Runs of the fit. Where `use` has others, the scatter is that of the errors on them.
    options : Options, optional

    Returns
    -------
    Scatter or None
        None if the law is refused on every choice of points.
    """
    if fitted is not None:
        known = fitted & np.isfinite(y) & np.all([np.isfinite(c) for c in x], axis=0)
        new = use & ~known
        fit = _fit(law, x, y, known, options)
        if fit is not None and new.any():
            at, ahead = _take(x, known), _take(x, new)
            return held_out(fit, at, ahead, y[new], sampling[new])
    fit = _fit(law, x, y, use, options)
    return None if fit is None else scatter_of(fit, sampling[use])


def _take(x: Inputs, use: Mask) -> Inputs:
    return tuple(column[use] for column in x)


def _fit(law: Law, x: Inputs, y: Array, use: Mask, options: Options | None) -> FitResult | None:
    try:
        return fit_law(law, _take(x, use), y[use], options)
    except FitRefusedError:
        return None


def held_out(fit: FitResult, x: Inputs, new: Inputs, y: Array, sampling: Array) -> Scatter:
    """Scatter that makes the errors on runs not fitted as large as they were.

    An error has the variance sigma^2 (1 + h): its own scatter, and h from the fit. The mean of
    error^2 / (1 + h) is sigma^2. The errors share the fit, so they count as fewer: with R their
    correlations, n^2 / sum R^2.

    Parameters
    ----------
    fit : FitResult
    x : tuple of arrays (n,)
        Inputs the law was fitted to.
    new : tuple of arrays (m,)
    y, sampling : array (m,)
        Measured values of the runs not fitted, and their sampling errors.
    """
    predicted = fit.predict(*new)
    moves = sensitivity(fit, x, new)
    covariance = np.eye(y.size) + moves @ moves.T
    sd = np.sqrt(np.diag(covariance))
    errors = (y - predicted) / unit(fit, predicted) / sd
    dof = y.size**2 / float(np.sum((covariance / np.outer(sd, sd)) ** 2))
    found = (float(np.mean(errors**2)), dof)
    if fit.options.objective == "huber_log":
        judged = robust.judge(errors, y.size)
        found = (judged.scale**2, judged.dof / y.size * dof)
    return Scatter(found[0] * found[1], found[1], y.size, float(np.mean(sampling**2)), True)


def scatter_of(fit: FitResult, sampling: Array) -> Scatter:
    """Scatter about a fit, from its residuals; outliers do not widen that of Huber's fits."""
    residuals = fit.residuals / unit(fit, fit.fitted)
    squares = float(residuals @ residuals)
    dof: float = fit.certificate.degrees_of_freedom
    if dof > 0 and fit.options.priors:
        dof = residuals.size - fit.certificate.effective_parameters
    if dof > 0 and fit.options.objective == "huber_log":
        judged = robust.judge(residuals, dof)
        squares, dof = judged.dof * judged.scale**2, judged.dof
    return Scatter(squares, dof, residuals.size, float(np.mean(sampling**2)))


def choose_sigma(dataset: str, grids: dict[str, Scatter | None], own: Scatter) -> Sigma | None:
    """Sigma for one data set, by one rule for studies and tables.

    Its own residuals if they leave `OWN_DOF` degrees of freedom; else the other data sets (their
    held-out cells, or residuals where all cells were fitted); else its own held-out cells or wider
    grid; else the few residuals of its own.

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
    if own.dof >= OWN_DOF:
        return _sigma([own], "this fit's own residuals", own=True)
    # Fewer trunks than parameters leave less than none.
    others = {
        name: found for name, found in grids.items() if name != dataset and found and found.dof > 0
    }
    if others:
        names, parts = ", ".join(sorted(others)), list(others.values())
        what = "errors on held-out cells" if all(part.held_out for part in parts) else "scatter"
        return _sigma(parts, f"{what} pooled over the other data sets ({names})")
    grid = grids.get(dataset)
    if grid is not None and grid.dof > 0 and (grid.held_out or grid.points > own.points):
        where = "held-out cells" if grid.held_out else "wider grid"
        return _sigma([grid], f"this data set's own {where}, as no other data set has one")
    if own.dof > 0:
        where = "this fit's own residuals (Student t), as there is nothing wider"
        return _sigma([own], where, own=True)
    return None


def _sigma(parts: list[Scatter], where: str, own: bool = False) -> Sigma:
    dof = sum(part.dof for part in parts)
    variance = sum(part.squares for part in parts) / dof
    sampling = sum(part.sampling * part.points for part in parts)
    sampling /= sum(part.points for part in parts)
    value = float(np.sqrt(max(variance - sampling, 0.0)))
    return Sigma(value, dof, f"{where}, {dof:.3g} degrees of freedom", own)
