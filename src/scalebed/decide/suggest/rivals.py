"""Further laws that fit the runs of a curve about as well: where they disagree, little is known.

A law counts with the weight exp(-AICc / 2), relative to the sum over all, where

    AICc = n log(RSS / n) + 2 p n / (n - p - 1)

with RSS the sum of squared logarithms of measured over fitted, n runs and p parameters and scatter
(Hurvich and Tsai 1989). Those with less than a twentieth of the weight of the curve's own law are
left out; its own law always stays. Each is drawn from its posterior under the beliefs about the
softly tied law (`scalebed.fit.posterior.forms`), so that no draw is further from the runs than they
allow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from scalebed.decide.curve import Curve
from scalebed.decide.suggest.designs import Run, existing, inputs_of_runs
from scalebed.fit.posterior import Beliefs, Points, fit_posterior
from scalebed.fit.posterior.forms import FORMS, draw_form
from scalebed.fit.result import FitRefusedError, fit_law
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Law
from scalebed.predict.large import LARGE
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
    best = _criterion(curve, curve.law, curve.middle)
    if not np.isfinite(best) or curve.loss.size > LARGE:
        return [own]
    counted = list(_counted(curve, best))
    if not counted:
        return [own]
    beliefs, posterior = Beliefs(), fit_posterior(_points(curve), Beliefs())
    found = [own]
    for law, weight in counted:
        rng = stream(seed, "rival", curve.dataset, law.name)
        theta = draw_form(law, posterior, beliefs, _DRAWS, rng)
        found.append(Rival(law, theta, weight))
    total = sum(one.weight for one in found)
    return [Rival(one.law, one.theta, one.weight / total) for one in found]


def _counted(curve: Curve, best: float) -> Iterator[tuple[Law, float]]:
    """Further laws, and their weight where the curve's own has 1."""
    runs = existing(curve)
    repeated = bool(np.any(curve.tokens > curve.unique_tokens * 1.001))
    for name in RIVALS if not repeated else ():
        law = get_law(name, "loss")
        if law.name == curve.law.name or curve.loss.size < len(law.parameters) + _FEWEST_DOF:
            continue
        try:
            fit = fit_law(law, inputs_of_runs(law, runs), curve.loss)
        except FitRefusedError:
            continue
        weight = float(np.exp(np.minimum((best - _criterion(curve, law, fit.theta)) / 2, 0.0)))
        if weight >= _LEAST:
            yield law, weight


def _points(curve: Curve) -> Points:
    groups = () if curve.groups is None else (curve.groups,)
    return Points(curve.params, curve.tokens, curve.loss, groups)


def _criterion(curve: Curve, law: Law, theta: Array) -> float:
    """AICc; infinite where there are too few runs for it."""
    count, size = curve.loss.size, len(law.parameters) + 1
    if count - size - 1 <= 0:
        return np.inf
    rest = np.log(curve.loss / law.value(theta, inputs_of_runs(law, existing(curve))))
    return float(count * np.log(rest @ rest / count) + 2 * size * count / (count - size - 1))


def samples(one: Rival, runs: list[Run], count: int) -> Array:
    """Logarithm of the loss of runs in some draws of a law, (count or fewer, n)."""
    rows = np.unique(np.linspace(0, len(one.theta) - 1, max(count, 2)).round().astype(int))
    with np.errstate(all="ignore"):
        values = np.log(one.law.value(one.theta[rows], inputs_of_runs(one.law, runs)))
    result: Array = values[np.isfinite(values).all(axis=1)]
    return result
