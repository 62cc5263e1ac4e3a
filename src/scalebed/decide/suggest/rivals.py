"""Further laws that fit the runs of a curve about as well: where they disagree, little is known.

A law counts with the weight exp(-DIC / 2), relative to the sum over all, where

    DIC = 2 median(deviance) - least(deviance)

over its draws, and the deviance is -2 log likelihood, in which rows of one run, trunk or size share
what they share in the posterior (Spiegelhalter et al. 2002, J. R. Stat. Soc. B 64, 583; the best
draw in place of the mean one as in Celeux et al. 2006, Bayesian Analysis 1, 651; the median, as a
few draws may lie far out). Those with less than a twentieth of the weight of the curve's own law
are left out; its own law always stays. Each is drawn from its posterior under the beliefs about the
softly tied law (`scalebed.fit.posterior.forms`), so that no draw is further from the runs than they
allow. Rows that lie outside, as `scalebed.predict.outlying` finds them, have no say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scalebed.decide.curve import Curve
from scalebed.decide.suggest.designs import Run, inputs_of_runs
from scalebed.fit.posterior import Beliefs, Points, fit_posterior, known_scatter
from scalebed.fit.posterior.forms import FORMS, Likelihood, draw_form
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Law
from scalebed.predict.large import LARGE
from scalebed.predict.outlying import outlying
from scalebed.predict.scatter import stream

RIVALS: Final = FORMS
_LEAST: Final = 0.05
_FEWEST_DOF: Final = 2
_DRAWS: Final = 2000


@dataclass(frozen=True)
class Rival:
    """A law with draws of its parameters and its weight.

    Attributes
    ----------
    law : Law
    theta : array (draws, p)
    weight : float
        The weights of all that count sum to 1.
    """

    law: Law
    theta: Array
    weight: float


def rivals(curve: Curve, seed: int = 0) -> list[Rival]:
    """Return the laws that count, the curve's own first."""
    own = Rival(curve.law, curve.theta, 1.0)
    repeated = bool(np.any(curve.tokens > curve.unique_tokens * 1.001))
    names = [
        name
        for name in RIVALS
        if name != curve.law.name
        and curve.loss.size >= len(get_law(name, "loss").parameters) + _FEWEST_DOF
    ]
    if repeated or not names or not curve.drawn or curve.loss.size > LARGE:
        return [own]
    beliefs = Beliefs()
    likelihood = Likelihood(fit_posterior(_points(curve, beliefs), beliefs), beliefs)
    best = _criterion(own, likelihood)
    found = [own]
    for name in names:
        law, rng = get_law(name, "loss"), stream(seed, "rival", curve.dataset, name)
        one = Rival(law, draw_form(law, likelihood, _DRAWS, rng), 1.0)
        excess = _criterion(one, likelihood) - best
        weight = float(np.exp(-max(excess, 0.0) / 2))
        if weight >= _LEAST:
            found.append(replace(one, weight=weight))
    total = sum(one.weight for one in found)
    return [replace(one, weight=one.weight / total) for one in found]


def _points(curve: Curve, beliefs: Beliefs) -> Points:
    """Return the runs of a curve, without those that lie outside."""
    groups = () if curve.groups is None else (curve.groups,)
    points = Points(curve.params, curve.tokens, curve.loss, groups)
    return points.take(~outlying(points, beliefs, known_scatter(beliefs))[0])


def _criterion(one: Rival, likelihood: Likelihood) -> float:
    """DIC, up to a constant that is the same for all laws of the same runs."""
    with np.errstate(all="ignore"):
        deviance = -2 * likelihood.log(one.law, one.theta[:_DRAWS])
    # A draw that makes no loss of some run is as far off it as can be.
    deviance = np.where(np.isnan(deviance), np.inf, deviance)
    return float(2 * np.median(deviance) - np.min(deviance))


def samples(one: Rival, runs: list[Run], count: int) -> Array:
    """Logarithm of the loss of runs in some draws of a law, (count or fewer, n)."""
    rows = np.unique(np.linspace(0, len(one.theta) - 1, max(count, 2)).round().astype(int))
    with np.errstate(all="ignore"):
        values = np.log(one.law.value(one.theta[rows], inputs_of_runs(one.law, runs)))
    result: Array = values[np.isfinite(values).all(axis=1)]
    return result
