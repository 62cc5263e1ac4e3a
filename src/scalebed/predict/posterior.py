"""Posterior of the softly tied law as a way to draw, with the scatter of the other data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scalebed.core.errors import ScalebedError
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
from scalebed.fit.result import FitResult
from scalebed.predict.forward import Forward, forward
from scalebed.predict.scatter import Sigma, normals, stream
from scalebed.predict.stages import Drawn, Request

METHOD: Final = "posterior of the softly tied law"
_FEWEST = 3


@dataclass(frozen=True)
class Candidate:
    """The posterior of one data set, and the names of those that tell its scatter besides."""

    posterior: Posterior
    others: tuple[str, ...]
    forward: Forward

    @property
    def fit(self) -> FitResult:
        """The law in its middle."""
        return centre(self.posterior)

    @property
    def verdict(self) -> str:
        """What the numbers are worth, and what the data say of the law."""
        edge = self.posterior.edge
        settled = "the grid has settled, no mass at a limit"
        numbers = settled if edge < EDGE else f"{edge:.0%} of the mass at a limit of the exponents"
        return f"numbers: {numbers}; evidence: {self.forward.words}"

    def draw(self, request: Request) -> Drawn:
        """Draw as `scalebed.predict.stages.Way` asks."""
        names = (request.kind, request.runs.dataset, request.response)
        rng = stream(request.seed, "posterior", *names)
        draws = Draws.of(self.posterior, request.draws, rng)
        runs = request.runs
        new = Points(runs.params, runs.tokens, np.ones(runs.params.size))
        normal = normals(request.seed, runs.cells, request.draws, *names[::2], "new")
        return Drawn(
            draws.theta,
            METHOD,
            # The error law is fitted to measured losses: they are not drawn anew.
            factors=np.ones((request.draws, runs.params.size)),
            deviations=draws.deviations(new, normal),
            sigma=self.sigma(draws),
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
    points: Mapping[str, Points], options: Options, level: float
) -> dict[str, Candidate | str]:
    """Posteriors of all data sets of one response, or why there is none.

    Parameters
    ----------
    points : mapping of str to Points
        By data set.
    options : Options
        A prior of alpha is taken in place of the usual one.
    level : float
        Of the intervals that predictions inside the data are held against.
    """
    beliefs = beliefs_of(options)
    kept = {name: found for name, found in points.items() if found.loss.size >= _FEWEST}
    alone = {name: fit_posterior(found, beliefs) for name, found in kept.items()}
    result: dict[str, Candidate | str] = {}
    for name, found in points.items():
        if name not in kept:
            result[name] = f"{found.loss.size} runs, expected at least {_FEWEST}"
            continue
        others: dict[str, Scatters] = {
            other: posterior.scatters for other, posterior in alone.items() if other != name
        }
        known = known_scatter(beliefs, list(others.values()))
        posterior = fit_posterior(found, beliefs, known) if others else alone[name]
        tried = forward(found, beliefs, known, level)
        result[name] = Candidate(posterior, tuple(sorted(others)), tried)
    return result


def beliefs_of(options: Options) -> Beliefs:
    """Return what is believed beforehand.

    Raises
    ------
    ScalebedError
        If the options ask for what a posterior has no place for.
    """
    other = sorted({*options.fixed, *options.priors} - {"alpha"})
    if options.objective != "sse" or options.fixed or other:
        said = f"objective {options.objective}" if options.objective != "sse" else ", ".join(other)
        said = said or "a fixed alpha"
        raise ScalebedError(f"interval posterior takes a prior of alpha and no more, not {said}")
    beliefs = Beliefs()
    if prior := options.priors.get("alpha"):
        beliefs = replace(beliefs, alpha=prior.mean, alpha_sd=prior.sd)
    return beliefs


def check_law(name: str) -> None:
    """Refuse laws that are not tied softly.

    Raises
    ------
    ScalebedError
        If it is another law.
    """
    if name != LAW:
        raise ScalebedError(f"interval posterior is for law {LAW}, not {name}")
