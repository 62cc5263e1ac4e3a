"""Fit one law to many responses of the same runs at once.

Each response is searched from the same starts and by the same steps as in `scalebed.fit.fit_law`;
only the arithmetic is shared, which for dozens of tasks on few runs is most of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scalebed.fit.options import Options
from scalebed.fit.refit import one_exponent
from scalebed.fit.result import FitRefusedError, FitResult, best_of, fit_law
from scalebed.fit.solvers.general import Setup, descend, prepare, starts
from scalebed.fit.solvers.newton import Minimum
from scalebed.laws.forms.base import Array, Index, Inputs, Law


def fit_one(law: Law, x: Inputs, y: Array, options: Options) -> FitResult:
    """Fit one response.

    Raises
    ------
    FitRefusedError
        If the points cannot identify the law.
    """
    if not y.size:
        raise FitRefusedError("no cell to fit to")
    return fit_law(law, x, y, options)


def fit_many(
    law: Law, x: Inputs, ys: Mapping[str, Array], options: Options
) -> dict[str, FitResult | FitRefusedError]:
    """Fit several responses of the same runs, each to its own global optimum.

    Parameters
    ----------
    law : Law
    x : tuple of arrays (n,)
    ys : mapping of str to array (n,)
    options : Options
    """
    found: dict[str, FitResult | FitRefusedError] = {}
    if len(ys) < 2 or not options.plain or law.kind == "loss" or one_exponent(law):
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
) -> list[FitResult | FitRefusedError]:
    setups = [prepare(law, x, y, options, None, y) for y in ys]
    first = [starts(setup) for setup in setups]
    rows: Index = np.repeat(np.arange(len(ys)), [len(found) for found in first])
    stacked = prepare(law, x, np.stack(ys), options, None, ys[0])
    found = descend(stacked.problem.take(rows), np.concatenate(first))
    return [
        _best(setup, Minimum(*(column[rows == i] for column in found)), x, y)
        for i, (setup, y) in enumerate(zip(setups, ys, strict=True))
    ]


def _best(setup: Setup, found: Minimum, x: Inputs, y: Array) -> FitResult | FitRefusedError:
    try:
        return best_of(setup, found, x, y)
    except FitRefusedError as refused:
        return refused
