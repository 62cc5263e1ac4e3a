"""Runs that could be made next: sizes and token multipliers around the data, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.decide.curve import Curve
from scalebed.decide.surface import inputs_for
from scalebed.fit.posterior.points import size_codes
from scalebed.laws.forms.base import Array, Inputs, Law, Mask

PASSES: Final = (1.0, 4.0, 16.0)
"""How often a candidate sees its tokens, where the law knows repetitions."""
_MOST: Final = 12
_STEP: Final = (1.25, 4.0)
_GAP: Final = 2.5


class Run(NamedTuple):
    """N, D and the tokens of the training set."""

    params: float
    tokens: float
    unique_tokens: float

    @property
    def flops(self) -> float:
        """Training compute 6 N D."""
        return 6 * self.params * self.tokens

    @property
    def multiplier(self) -> float:
        """M = D / N."""
        return self.tokens / self.params


Cost = Callable[[Run, Sequence[Run]], float]
"""What a run costs beside runs that there are already, in FLOPs."""


def whole(run: Run, existing: Sequence[Run]) -> float:
    """Cost of a run from scratch: 6 N D, whatever there is already."""
    del existing
    return run.flops


@dataclass(frozen=True)
class Limits:
    """What candidates are restricted to.

    Attributes
    ----------
    sizes, multipliers : tuple of float, optional
        N and M; those around the data where left out.
    most : float
        Largest 6 N D of one candidate.
    unique_tokens : float, optional
        Tokens there are; a longer run repeats them.
    """

    sizes: tuple[float, ...] | None = None
    multipliers: tuple[float, ...] | None = None
    most: float = np.inf
    unique_tokens: float | None = None


def existing(curve: Curve) -> list[Run]:
    """Return the runs a curve was fitted to."""
    columns = zip(curve.params, curve.tokens, curve.unique_tokens, strict=True)
    return [Run(float(n), float(d), float(min(u, d))) for n, d, u in columns]


def candidates(curve: Curve, limits: Limits, targets: Sequence[Run] = ()) -> list[Run]:
    """Return the product of sizes and multipliers below the largest cost.

    Without limits sizes are those of the data, with half a step and a step beyond; multipliers too,
    with those between where they lie far apart, and a step below where a target lies below; none
    has fewer tokens than the shortest run of the data.

    Raises
    ------
    ScalebedError
        If none is left.
    """
    sizes = limits.sizes or _with_larger(spread(curve.params))
    multipliers = limits.multipliers or _multipliers(curve, targets)
    knows = "unique_tokens" in curve.law.inputs
    found = [
        Run(n, n * m, n * m / passes)
        for n in sizes
        for m in multipliers
        for passes in (PASSES if knows else PASSES[:1])
    ]
    unique = limits.unique_tokens or np.inf
    if not knows:
        found = [run._replace(unique_tokens=min(run.tokens, unique)) for run in found]
    # Shorter runs than any of the data, or of fewer tokens, are where a law fails first.
    fewest = 0.0 if limits.multipliers else 0.99 * float(np.min(curve.unique_tokens))
    least = 0.0 if limits.multipliers else 0.99 * float(np.min(curve.tokens))
    kept = [run for run in found if run.tokens >= least and fewest <= run.unique_tokens <= unique]
    cheap = [run for run in kept if run.flops <= limits.most]
    if not cheap:
        cheapest = min((run.flops for run in kept), default=np.inf)
        raise ScalebedError(
            f"no candidate costs {limits.most:.3g} FLOPs or less: the cheapest is {cheapest:.3g}"
        )
    return cheap


def spread(values: Array) -> Array:
    """Return the distinct values of a column, ascending, a few where they are many.

    Values that differ by rounding only count once.
    """
    codes = size_codes(values)[0]
    each = np.sort([np.median(values[codes == code]) for code in np.unique(codes)])
    if each.size > _MOST:
        even = np.geomspace(each[0], each[-1], _MOST)
        each = each[np.unique(np.abs(np.log(each[:, None] / even)).argmin(0))]
    return each


def _with_larger(sizes: Array) -> tuple[float, ...]:
    step = _step(sizes)
    return _rounded([*sizes, sizes[-1] * np.sqrt(step), sizes[-1] * step])


def _multipliers(curve: Curve, targets: Sequence[Run]) -> tuple[float, ...]:
    known = spread(curve.tokens / curve.params)
    step = _step(known)
    found = [known[:1], known[-1:] * step]
    for low, high in pairwise(known):
        parts = max(int(np.ceil(np.log(high / low) / np.log(_GAP))), 1)
        found.append(np.geomspace(low, high, parts + 1)[1:])
    if any(run.multiplier < known[0] for run in targets):
        found.append(known[:1] / step)
    return _rounded(np.sort(np.concatenate(found)))


def _step(values: Array) -> float:
    """Usual ratio of neighbours, within limits."""
    usual = np.exp(np.median(np.diff(np.log(values)))) if values.size > 1 else 2.0
    return float(np.clip(usual, *_STEP))


def _rounded(values: Sequence[float] | Array) -> tuple[float, ...]:
    return tuple(float(f"{value:.4g}") for value in values)


def same(run: Run, others: Sequence[Run]) -> Mask:
    """Whether other runs have the N, D and training set of one, but for rounding."""
    if not others:
        return np.zeros(0, dtype=bool)
    off = np.abs(np.log(np.array(others) / np.array(run)))
    near: Mask = np.all(off < np.log(1.1), axis=1)
    return near


def inputs_of_runs(law: Law, runs: Sequence[Run]) -> Inputs:
    """Return the inputs of a loss law, (n,) each."""
    params, tokens, unique = np.array(runs, dtype=float).reshape(-1, 3).T
    return inputs_for(law, params, tokens, unique)
