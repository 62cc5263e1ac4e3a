"""Posterior of the softly tied law as a way to draw, with the scatter of the other data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.fit.influence import Influence
from scalebed.fit.options import Options
from scalebed.fit.posterior import (
    Beliefs,
    Draws,
    Points,
    Posterior,
    Scatters,
    fit_posterior,
    known_scatter,
)
from scalebed.fit.posterior.centre import EDGE, LAW, centre, independent
from scalebed.fit.posterior.influence import influence
from scalebed.fit.result import FitResult
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Mask
from scalebed.laws.forms.designs import constant_in
from scalebed.predict.dearer import dearer
from scalebed.predict.evidence import Evidence, bends, lack_of_fit, reach
from scalebed.predict.forward import forward
from scalebed.predict.outlying import outlying
from scalebed.predict.over import over
from scalebed.predict.scatter import Sigma, normals, stream
from scalebed.predict.settings import Settings
from scalebed.predict.stages import Drawn, Request

METHOD: Final = "posterior of the softly tied law"
_FEWEST: Final = 3
_PARAMETERS: Final = len(get_law(LAW).parameters)
_DRAWS: Final = 1000
_LEAST_DRAWS: Final = 100
"""Quantiles of fewer different draws say little: of 100, 5 lie beyond each end of 90 %."""


@dataclass(frozen=True)
class Given:
    """What the posterior of one data set is computed from.

    Attributes
    ----------
    points : Points
        Runs of the fit.
    names : tuple of str
        What to call them.
    wide : Points, optional
        Runs from which the other data sets learn the scatter; those of the fit without.
    """

    points: Points
    names: tuple[str, ...]
    wide: Points | None = None


@dataclass(frozen=True)
class Candidate:
    """The posterior of one data set, and the names of those that tell its scatter besides."""

    posterior: Posterior
    others: tuple[str, ...]
    evidence: Evidence | None
    fit: FitResult
    """The law in its middle, at all runs of the fit."""
    kept: Mask
    """Which of these are in the posterior: those that do not lie outside."""
    influence: Influence | None = None
    """How much each of these decides, NaN where it is not in the posterior; with `evidence`."""

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the numbers may not be those of the posterior; nothing if they are."""
        edge = self.posterior.edge
        return () if edge < EDGE else (f"{edge:.1%} of the mass at a limit of the exponents",)

    def draw(self, request: Request) -> Drawn:
        """Draw as `scalebed.predict.stages.Way` asks."""
        names = (request.kind, request.runs.dataset, request.response)
        rng = stream(request.seed, "posterior", *names)
        draws = Draws.of(self.posterior, request.draws, rng)
        runs = request.runs
        trunks = () if runs.trunk is None else (runs.trunk,)
        new = Points(runs.params, runs.tokens, np.ones(runs.params.size), trunks)
        normal = normals(request.seed, runs.cells, request.draws, *names[::2], "new")
        return Drawn(
            draws.theta,
            METHOD,
            # The error law is fitted to measured losses: they are not drawn anew.
            factors=np.ones((request.draws, runs.params.size)),
            deviations=draws.deviations(new, normal),
            sigma=replace(self.sigma(draws), shared=0.0 if not trunks else draws.shared(0)),
            doubts=(*self.doubts, *_few(draws)),
            evidence=self.evidence,
            influence=self.influence,
        )

    def sigma(self, draws: Draws) -> Sigma:
        """Median scatter, with the degrees of freedom that know it as well."""
        spread = float(np.var(np.log(draws.scatter)))
        count = independent(self.posterior)
        source = f"posterior of {count} independent run{'s' if count != 1 else ''}"
        if self.others:
            source += f", with the scatter of {', '.join(self.others)}"
        return Sigma(float(np.median(draws.scatter)), 1 / (2 * max(spread, 1e-9)), source, own=True)


def candidates(
    given: Mapping[str, Given], options: Options, level: float | None
) -> dict[str, Candidate | str]:
    """Posteriors of all data sets of one response, or why there is none.

    Parameters
    ----------
    given : mapping of str to Given
        By data set.
    options : Options
        A prior of alpha is taken in place of the usual one.
    level : float, optional
        Of the intervals that predictions inside the data are held against; no such predictions
        are made without.
    """
    beliefs = beliefs_of(options)
    usual = known_scatter(beliefs)
    scatters: dict[str, Scatters] = {}
    # One data set alone has nothing to tell the others.
    for name, found in given.items() if len(given) > 1 else ():
        points = found.points if found.wide is None else found.wide
        if points.loss.size >= _FEWEST:
            kept = points.take(~outlying(points, beliefs, usual)[0])
            scatters[name] = fit_posterior(kept, beliefs).scatters
    result: dict[str, Candidate | str] = {}
    for name, found in given.items():
        count = found.points.loss.size
        if count < _FEWEST:
            result[name] = f"{count} run{'s' if count != 1 else ''}, expected at least {_FEWEST}"
            continue
        others = {other: known for other, known in scatters.items() if other != name}
        result[name] = _candidate(found, beliefs, others, level)
    return result


def _candidate(
    given: Given, beliefs: Beliefs, others: Mapping[str, Scatters], level: float | None
) -> Candidate:
    known = known_scatter(beliefs, list(others.values()))
    left, off = outlying(given.points, beliefs, known)
    points = given.points.take(~left)
    posterior = fit_posterior(points, beliefs, known)
    fit = centre(posterior, given.points)
    told = tuple(sorted(others))
    if level is None:
        return Candidate(posterior, told, None, fit, ~left)
    rest = fit.residuals / fit.fitted
    tried = forward(points, beliefs, known, level)
    decided = influence(Draws.of(posterior, _DRAWS, stream(0, "influence")), beliefs)
    kept = tuple(name for name, out in zip(given.names, left, strict=True) if not out)
    evidence = Evidence(
        forward=tried,
        largest=float(np.max(6 * points.params * points.tokens)),
        tried=reach(points.params, points.tokens, tried),
        outlying=tuple(f"{given.names[i]} ({off[i]:+.1%})" for i in np.flatnonzero(left)),
        findings=(
            *_believed(points),
            *_bends(points, rest[~left]),
            *_lack(points, rest[~left]),
            *_decisive(decided, kept),
        ),
        over=over(points, beliefs, known, level),
        dearer=dearer(points, beliefs, known, level),
    )
    return Candidate(posterior, told, evidence, fit, ~left, _over_all(decided, ~left))


def _believed(points: Points) -> list[str]:
    """Say what runs that differ in one way leave to the beliefs."""
    constant = constant_in(points.params, points.tokens)
    if constant is None:
        return []
    return [f"all runs have one {constant}, so what another one gives is believed, not seen"]


def _few(draws: Draws) -> tuple[str, ...]:
    """Doubt draws of which hardly any are different."""
    worth = draws.effective
    return () if worth >= _LEAST_DRAWS else (f"draws that are worth {worth:.0f} different ones",)


def _over_all(decided: Influence | None, kept: Mask) -> Influence | None:
    """Give rows that were left out no influence."""
    if decided is None:
        return None
    found = np.full((len(decided), kept.size), np.nan)
    found[:, kept] = decided
    return Influence(*found)


def _decisive(decided: Influence | None, names: Sequence[str]) -> list[str]:
    """Name the rows without which the law would be another."""
    if decided is None:
        return []
    distance = decided.cooks_distance
    rows = map(int, np.flatnonzero(distance > 1))
    found = [f"{names[i]} (Cook's distance {distance[i]:.1f})" for i in rows]
    return [f"decided by single rows: {', '.join(found)}"] if found else []


def _bends(points: Points, rest: Array) -> list[str]:
    """Look for structure, where every point is independent."""
    return [] if points.shared else bends(points.params, points.tokens, rest, _PARAMETERS)


def _lack(points: Points, rest: Array) -> list[str]:
    """Compare repeats with lack of fit; designs are the finest groups."""
    return lack_of_fit(points.groups[-1] if points.groups else None, rest, _PARAMETERS)


def softly_tied(options: Options) -> bool:
    """Whether a posterior has a place for these options."""
    return options.objective == "sse" and not options.fixed and set(options.priors) <= {"alpha"}


def beliefs_of(options: Options) -> Beliefs:
    """Return what is believed beforehand.

    Raises
    ------
    ScalebedError
        If the options ask for what a posterior has no place for.
    """
    if not softly_tied(options):
        other = sorted({*options.fixed, *options.priors} - {"alpha"})
        said = f"objective {options.objective}" if options.objective != "sse" else ", ".join(other)
        said = said or "a fixed alpha"
        raise ScalebedError(f"interval posterior takes a prior of alpha and no more, not {said}")
    beliefs = Beliefs()
    if prior := options.priors.get("alpha"):
        beliefs = replace(beliefs, alpha=prior.mean, alpha_sd=prior.sd)
    return beliefs


def check_settings(settings: Settings) -> None:
    """Refuse what a posterior has no place for.

    Raises
    ------
    ScalebedError
        If the law is not tied softly, or runs are weighted.
    """
    if settings.loss_law != LAW:
        raise ScalebedError(f"interval posterior is for law {LAW}, not {settings.loss_law}")
    if settings.weights["loss"] != "equal":
        raise ScalebedError("interval posterior weighs runs itself, expected weights: equal")
