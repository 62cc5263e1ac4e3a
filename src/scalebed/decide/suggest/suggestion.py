"""From a curve and a target to the runs that narrow its law there most."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.decide.curve import Curve
from scalebed.decide.optimum import at_compute
from scalebed.decide.suggest.branches import branching
from scalebed.decide.suggest.designs import (
    Cost,
    Limits,
    Run,
    candidates,
    existing,
    inputs_of_runs,
    same,
    whole,
)
from scalebed.decide.suggest.greedy import POWER, SHARED, Goal, known_of, suggest, tamed
from scalebed.decide.suggest.rivals import Rival, rivals, samples
from scalebed.decide.surface import Surface
from scalebed.laws.forms.base import Array

_DRAWS: Final = 4000
_FEWEST_REPEATS: Final = 3
_SLIP: Final = 0.5
_LEAST: Final = 0.02
"""A run has to take off a hundredth of the half-width, so two of the variance."""


@dataclass(frozen=True)
class Wanted:
    """What is asked.

    Attributes
    ----------
    targets : tuple of Run
        Where the law is to be narrowed.
    until : float, optional
        Relative half-width of the law at every target.
    budget : float
        FLOPs of all runs together.
    count : int
        Most runs.
    limits : Limits
        Of the candidates.
    power : float
        kappa, see `scalebed.decide.suggest.greedy`.
    cooldown : float, optional
        Share of its steps that a run cools down over, if runs branch off trunks.
    """

    targets: tuple[Run, ...]
    until: float | None = None
    budget: float = np.inf
    count: int = 5
    limits: Limits = field(default_factory=Limits)
    power: float = POWER
    cooldown: float | None = None


@dataclass(frozen=True)
class Suggested:
    """One run to make.

    Attributes
    ----------
    run : Run
    cost : float
        FLOPs.
    made : int
        Runs of this cell that there are by then.
    widths : array (targets,)
        Relative half-width of the law expected after it.
    """

    run: Run
    cost: float
    made: int
    widths: Array

    @property
    def branch(self) -> bool:
        """Whether it goes on from a trunk that there is by then."""
        return self.cost < self.run.flops * (1 - 1e-9)


@dataclass(frozen=True)
class Suggestion:
    """Runs to make, and what they are expected to give.

    Attributes
    ----------
    curve : Curve
    wanted : Wanted
    counted : tuple of Rival
        Laws whose draws are counted.
    losses, widths : array (targets,)
        Law at the targets, and its relative half-width now.
    scatter : float
        Relative half-width of a single run about the law.
    steps : tuple of Suggested
    reached : bool
        Whether the wanted half-width is expected to be reached.
    """

    curve: Curve
    wanted: Wanted
    counted: tuple[Rival, ...]
    losses: Array
    widths: Array
    scatter: float
    steps: tuple[Suggested, ...]
    reached: bool

    @property
    def cost(self) -> float:
        """FLOPs of all runs."""
        return sum(step.cost for step in self.steps)


def optimum(curve: Curve, flops: float, unique_tokens: float | None) -> Run:
    """Return the compute-optimal run under the law that is shown.

    Raises
    ------
    ScalebedError
        If the law has none.
    """
    best = at_compute(Surface(curve.law, curve.middle[None], unique_tokens), flops)
    params, tokens = float(best.params[0]), float(best.tokens[0])
    if not np.isfinite(params):
        raise ScalebedError(
            f"law {curve.law.name} has no optimum at {flops:.3g} FLOPs, expected --target"
        )
    return Run(params, tokens, min(tokens, unique_tokens or tokens))


def suggestion(curve: Curve, wanted: Wanted, cost: Cost | None = None, seed: int = 0) -> Suggestion:
    """Suggest runs.

    Parameters
    ----------
    curve : Curve
    wanted : Wanted
    cost : callable, optional
        What a candidate costs beside the runs that there are by then; 6 N D, or that of a branch
        where `wanted` has a cool-down, by default.
    seed : int
        Of the draws of further laws.

    Raises
    ------
    ScalebedError
        If nothing can be narrowed, or nothing is affordable.
    """
    scatter = _checked(curve, wanted)
    if cost is None:
        cost = whole if wanted.cooldown is None else branching(wanted.cooldown)
    made = existing(curve)
    found, counted = candidates(curve, _below(wanted), wanted.targets), tuple(rivals(curve, seed))
    pooled = np.concatenate([_drawn(one, [*found, *wanted.targets]) for one in counted])
    known = known_of(pooled, scatter, found, made, shared_part(curve))
    tails = ((1 - curve.level) / 2, (1 + curve.level) / 2)
    low, high = np.quantile(pooled[:, len(found) :], tails, axis=0)
    widths = (high - low) / 2
    # How many standard deviations half an interval is: what is left keeps the shape of the draws.
    factor = widths / np.sqrt(known.targets)
    wished: float | Array = 0.0 if wanted.until is None else (wanted.until / factor) ** 2
    goal = Goal(wished, wanted.budget, wanted.count, _LEAST)
    row = suggest(known, found, goal, made, cost, wanted.power)
    steps, then = [], list(made)
    for step in row.steps:
        run = found[step.chosen]
        count = int(same(run, then).sum())
        steps.append(Suggested(run, step.cost, count, factor * np.sqrt(step.targets)))
        then.append(run)
    losses = curve.law.value(curve.middle, inputs_of_runs(curve.law, list(wanted.targets)))
    one_run = float(np.mean(factor)) * scatter
    return Suggestion(curve, wanted, counted, losses, widths, one_run, tuple(steps), row.reached)


def shared_part(curve: Curve) -> float:
    """Return the part of the scatter's variance that runs of one cell have in common.

    One less the variance within cells over all of it, where there are repeats enough.
    """
    runs = existing(curve)
    rest = np.log(curve.loss / curve.law.value(curve.middle, inputs_of_runs(curve.law, runs)))
    left, squares, dof = list(range(len(runs))), 0.0, 0
    while left:
        alike = same(runs[left[0]], [runs[i] for i in left])
        own = rest[left][alike]
        squares += float(np.sum((own - own.mean()) ** 2))
        dof += own.size - 1
        left = [i for i, out in zip(left, alike, strict=True) if not out]
    if dof < _FEWEST_REPEATS or not curve.sigma:
        return SHARED
    return float(np.clip(1 - squares / dof / curve.sigma**2, 0.0, 0.99))


def _checked(curve: Curve, wanted: Wanted) -> float:
    """Return the scatter of runs; raises where nothing can be narrowed."""
    if not curve.drawn:
        raise ScalebedError(
            f"{curve.source}: there are no draws, so nothing to narrow; expected a table of runs "
            "or a study, with a law that can be drawn"
        )
    if not curve.sigma:
        raise ScalebedError(
            f"{curve.source}, {curve.dataset}: the scatter of runs is not known, so nothing tells "
            "what one more would say"
        )
    if wanted.until is not None and not 0 < wanted.until < _SLIP:
        raise ScalebedError(
            f"--until is {wanted.until:.3g}, which is {wanted.until:.3g} x the loss, expected a "
            "half-width such as 1%"
        )
    if wanted.cooldown is not None and not 0 < wanted.cooldown < 1:
        raise ScalebedError(
            f"--cooldown is {wanted.cooldown:g}, expected a share of the steps such as 20%"
        )
    if wanted.count < 1:
        raise ScalebedError(f"--count is {wanted.count}, expected 1 or more")
    return curve.sigma


def _below(wanted: Wanted) -> Limits:
    """Limits that no candidate as dear as a target, or as the budget, is within."""
    limits = wanted.limits
    target = min(run.flops for run in wanted.targets)
    # A branch may cost less than its run from the first step, so a budget leaves none out.
    budget = wanted.budget if wanted.cooldown is None else np.inf
    most = min(limits.most, budget, target * (1 - 1e-6))
    return Limits(limits.sizes, limits.multipliers, most, limits.unique_tokens)


def _drawn(one: Rival, runs: list[Run]) -> Array:
    return tamed(samples(one, runs, round(one.weight * _DRAWS)))
