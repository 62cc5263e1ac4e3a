"""Fit one law to many responses of the same runs at once.

Each response is searched from the same starts and by the same steps as in `scalebed.fit.fit_law`;
only the arithmetic is shared, which for dozens of tasks on few runs is most of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scalebed.fit import FitRefusedError, Options, fit_law
from scalebed.fit.certificate import certify
from scalebed.fit.refit import one_exponent
from scalebed.fit.solvers.general import Setup, descend, prepare, starts
from scalebed.laws.forms.base import Array, Index, Inputs, Law


@dataclass(frozen=True)
class Fit:
    """What a tournament needs of a fit.

    Attributes
    ----------
    law : Law
    theta : array (p,)
    residuals : array (n,)
    converged : bool
    """

    law: Law
    theta: Array
    residuals: Array
    converged: bool

    def predict(self, *x: Array) -> Array:
        """Value of the law at other inputs, (n,)."""
        return self.law.predict(self.theta, x)


def fit_one(law: Law, x: Inputs, y: Array, options: Options) -> Fit:
    """Fit one response.

    Raises
    ------
    FitRefusedError
        If the points cannot identify the law.
    """
    if not y.size:
        raise FitRefusedError("no cell to fit to")
    found = fit_law(law, x, y, options)
    return Fit(law, found.theta, found.residuals, found.certificate.converged)


def fit_many(
    law: Law, x: Inputs, ys: Mapping[str, Array], options: Options
) -> dict[str, Fit | FitRefusedError]:
    """Fit several responses of the same runs, each to its own global optimum.

    Parameters
    ----------
    law : Law
    x : tuple of arrays (n,)
    ys : mapping of str to array (n,)
    options : Options
    """
    found: dict[str, Fit | FitRefusedError] = {}
    shared = options.objective == "sse" and not options.fixed and not options.priors
    if len(ys) < 2 or not shared or law.kind == "loss" or one_exponent(law):
        for name, y in ys.items():
            try:
                found[name] = fit_one(law, x, y, options)
            except FitRefusedError as refused:
                found[name] = refused
        return found
    for name, y in ys.items():
        reason = law.refusal(x, y) if y.size else "no cell to fit to"
        if reason is not None:
            found[name] = FitRefusedError(reason)
    names = [name for name in ys if name not in found]
    if names:
        found |= zip(names, _searched(law, x, [ys[name] for name in names], options), strict=True)
    return {name: found[name] for name in ys}


def _searched(
    law: Law, x: Inputs, ys: Sequence[Array], options: Options
) -> list[Fit | FitRefusedError]:
    setups = [prepare(law, x, y, options, None, y) for y in ys]
    first = [starts(setup) for setup in setups]
    rows: Index = np.repeat(np.arange(len(ys)), [len(found) for found in first])
    stacked = prepare(law, x, np.stack(ys), options, None, ys[0])
    found = descend(stacked.problem.take(rows), np.concatenate(first))
    return [
        _best(
            law,
            x,
            y,
            setups[i],
            found.theta[rows == i],
            found.objective[rows == i],
            found.gradient[rows == i],
        )
        for i, y in enumerate(ys)
    ]


def _best(
    law: Law, x: Inputs, y: Array, setup: Setup, theta: Array, objective: Array, gradient: Array
) -> Fit | FitRefusedError:
    if not objective.size or not np.isfinite(objective.min()):
        return FitRefusedError("no start gives the law a value at every point")
    at = int(np.argmin(objective))
    certificate = certify(
        setup.problem, theta[at], gradient=float(gradient[at]), starts=1, agreeing=1, minima=1
    )
    if certificate.unidentified:
        return FitRefusedError(
            f"not identified: condition number {certificate.condition:.1e}, so the points leave a "
            "combination of the parameters open"
        )
    best = law.from_frame(theta[at], setup.frame)
    return Fit(law, best, y - law.value(best, x), certificate.converged)
