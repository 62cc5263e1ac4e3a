"""Intervals of every method for the runs of a study that a fit has not seen.

The same code serves a study as it is, a simulated one, and one whose largest models are left out:
they differ in the runs alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scalebed.checks.calibration.points import clusters, known, take, units
from scalebed.checks.intervals import NAMES, Interval, Other, Problem, choose, get_method
from scalebed.checks.intervals.conformal import upper_quantile
from scalebed.core.errors import ScalebedError
from scalebed.fit.result import FitResult
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Mask
from scalebed.predict.bootstrap import bootstrap
from scalebed.predict.build import build_stage, law_scatters
from scalebed.predict.draws import interval_of
from scalebed.predict.loss_stages import loss_stages
from scalebed.predict.runs import Runs
from scalebed.predict.settings import Settings
from scalebed.predict.stages import Stage, ahead, inputs

POSTERIOR = "posterior"


@dataclass(frozen=True)
class Found:
    """Intervals of one method for the held-out runs of one data set and response.

    Attributes
    ----------
    dataset, response, kind, method, status : str
    default : bool
    measured, lower, upper : array (m,)
    units : int
        How many of them are independent: branches of one trunk are one.
    """

    dataset: str
    response: str
    kind: str
    method: str
    status: str
    default: bool
    measured: Array
    lower: Array
    upper: Array
    units: int


class Evaluation:
    """The data sets of a study with one choice of cells to fit and to predict.

    Parameters
    ----------
    sets : sequence of Runs
    settings : Settings
    methods : tuple of str
        Those that refit; a posterior has its own interval and no other.
    """

    def __init__(
        self, sets: Sequence[Runs], settings: Settings, methods: tuple[str, ...] = NAMES
    ) -> None:
        self.sets, self.settings, self.methods = sets, settings, methods
        self._problems: dict[int, Problem] = {}
        self._intervals: dict[tuple[int, str], Interval | None] = {}

    def held(self, runs: Runs, used: Mask, measured: Array) -> Mask:
        """Choose the runs measured and not fitted, where the law is claimed to hold."""
        claimed = runs.scattered | runs.target | runs.fit_loss | runs.fit_error
        held: Mask = claimed & runs.same_recipe & ~used & np.isfinite(measured)
        return held

    @cached_property
    def loss_stages(self) -> list[Stage]:
        """Loss law of every data set with its draws."""
        return loss_stages(self.sets, self.settings.loss, self.settings)

    def losses(self) -> Iterator[Found]:
        """Intervals for the loss, by data set and method."""
        for i, (runs, stage) in enumerate(zip(self.sets, self.loss_stages, strict=True)):
            if stage.fit is None or stage.point is None:
                continue
            held = self.held(runs, stage.used, runs.loss(self.settings.loss))
            measured = runs.loss(self.settings.loss)[held]
            if self.settings.interval == POSTERIOR:
                yield from self._own(runs, stage, "loss", held, measured)
                continue
            problem = self.loss_problem(i)
            default, _ = choose(problem.design)
            for name in self.methods:
                limits = self._limits(name, i, stage, held)
                if limits is not None and measured.size:
                    status = get_method(name).status(problem.design)
                    words = (runs.dataset, self.settings.loss, "loss", name, status)
                    apart = units(runs, held)
                    yield Found(*words, name == default, measured, *limits, apart)

    def _own(
        self, runs: Runs, stage: Stage, kind: str, held: Mask, measured: Array
    ) -> Iterator[Found]:
        """Intervals of the draws of a stage itself."""
        limits = _quantiles(stage, held, self.settings.level)
        if limits is not None and measured.size:
            words = (stage.dataset, stage.response, kind, POSTERIOR, "valid")
            yield Found(*words, True, measured, *limits, units(runs, held))

    def loss_problem(self, i: int) -> Problem:
        """Points of the loss law of one data set, all of its runs as targets."""
        if i not in self._problems:
            self._problems[i] = self._loss_problem(i)
        return self._problems[i]

    def loss_interval(self, i: int, name: str) -> Interval | None:
        """Limits of the loss of one data set by one method; None where it has none."""
        if (i, name) not in self._intervals:
            self._intervals[i, name] = _try(name, self.loss_problem(i))
        return self._intervals[i, name]

    def _loss_problem(self, i: int) -> Problem:
        runs, stage, settings = self.sets[i], self.loss_stages[i], self.settings
        loss, used = runs.loss(settings.loss), stage.used
        law = get_law(settings.loss_law, "loss")
        x = inputs(law, runs, settings.loss, settings)
        given = runs.loss_sampling.get(settings.loss)
        return Problem(
            law,
            take(x, used),
            loss[used],
            x,
            sigma=stage.sigma,
            others=tuple(self._others(i)),
            evaluation=None if given is None else known(given[used]),
            clusters=clusters(runs, used),
            sizes=runs.params[used],
            level=settings.level,
            draws=settings.draws,
            seed=settings.seed,
            options=settings.loss_options,
            name=runs.dataset,
            known=self._known_fit(stage, "loss"),
            told=stage.clustered,
        )

    def _known_fit(self, stage: Stage, kind: str) -> FitResult | None:
        """Return the fit of a stage, unless its points were weighted."""
        return None if self.settings.weights[kind] == "evaluation" else stage.fit

    def _others(self, i: int) -> Iterator[Other]:
        law, settings = get_law(self.settings.loss_law, "loss"), self.settings
        for j, (runs, stage) in enumerate(zip(self.sets, self.loss_stages, strict=True)):
            loss = runs.loss(settings.loss)
            new = runs.scattered & runs.same_recipe & ~stage.used & np.isfinite(loss)
            if j == i or stage.fit is None or not new.any():
                continue
            x = inputs(law, runs, settings.loss, settings)
            fit = self._known_fit(stage, "loss")
            yield Other(take(x, stage.used), loss[stage.used], take(x, new), loss[new], fit)

    def _limits(self, name: str, i: int, stage: Stage, held: Mask) -> tuple[Array, Array] | None:
        """Limits for the held-out runs; None where the method has none."""
        if name == "parametric":
            return _quantiles(stage, held, self.settings.level)
        found = self.loss_interval(i, name)
        return None if found is None else (found.lower[held], found.upper[held])

    def errors(self, response: str) -> Iterator[Found]:
        """Intervals for one response chained from the predicted loss, by data set and method."""
        scatters = law_scatters(self.sets, response, "error", self.settings)
        stages = [
            build_stage(runs, response, scatters, self.settings, bootstrap, loss)
            for runs, loss in zip(self.sets, self.loss_stages, strict=True)
        ]
        for i, (runs, stage) in enumerate(zip(self.sets, stages, strict=True)):
            loss = self.loss_stages[i]
            if stage.fit is None or stage.point is None or loss.point is None:
                continue
            held = self.held(runs, stage.used, runs.errors[response])
            measured = runs.errors[response][held]
            if self.settings.interval == POSTERIOR:
                yield from self._own(runs, stage, "error", held, measured)
                continue
            problem = self._error_problem(i, stage)
            default, _ = choose(problem.design)
            for name in self.methods:
                limits = self._chained(name, i, problem, stages, held)
                if limits is not None and measured.size:
                    status = self._chained_status(name, i, problem)
                    words = (runs.dataset, response, "error", name, status)
                    apart = units(runs, held)
                    yield Found(*words, name == default, measured, *limits, apart)

    def _error_problem(self, i: int, stage: Stage) -> Problem:
        runs, used, settings = self.sets[i], stage.used, self.settings
        law = get_law(settings.error_law, ("error", "direct"))
        x = inputs(law, runs, stage.response, settings)
        return Problem(
            law,
            take(x, used),
            runs.errors[stage.response][used],
            ahead(law, x, self.loss_stages[i].point),
            sigma=stage.sigma,
            evaluation=known(runs.sampling[stage.response][used]),
            clusters=clusters(runs, used),
            sizes=runs.params[used],
            level=settings.level,
            draws=settings.draws,
            seed=settings.seed,
            options=settings.error_options,
            name=f"{runs.dataset}/{stage.response}",
            known=self._known_fit(stage, "error"),
            told=stage.clustered,
        )

    def _chained_status(self, name: str, i: int, problem: Problem) -> str:
        """Status of a chain: the worse of its two laws', and wide where Student's tails add."""
        loss = self.loss_problem(i).design
        both = [get_method(name).status(loss)]
        if name != "conformal":
            both.append(get_method(name).status(problem.design))
        few = min(loss.dof, problem.design.dof) < loss.own_dof
        if name not in ("parametric", "conformal") and few:
            both.append("conservative: the wide tails of two laws with few points are added")
        return worst(both)

    def _chained(
        self, name: str, i: int, problem: Problem, stages: list[Stage], held: Mask
    ) -> tuple[Array, Array] | None:
        if name == "parametric":
            return _quantiles(stages[i], held, self.settings.level)
        if name == "conformal":
            return self._conformal(i, stages, held)
        loss, error = self.loss_interval(i, name), _try(name, problem)
        if loss is None or error is None:
            return None
        if "loss" not in problem.law.inputs:
            return error.lower[held], error.upper[held]
        # Both parts alone, each side added as independent ones.
        point, ends = problem.point, (loss.lower, loss.upper)
        names = problem.law.inputs
        low, high = (
            problem.fit.predict(
                *(
                    end if name == "loss" else c
                    for name, c in zip(names, problem.targets, strict=True)
                )
            )
            for end in ends
        )
        down = np.hypot(point - low, point - error.lower)
        up = np.hypot(high - point, error.upper - point)
        return np.clip(point - down, 0, 1)[held], np.clip(point + up, 0, 1)[held]

    def _conformal(self, i: int, stages: list[Stage], held: Mask) -> tuple[Array, Array] | None:
        """As far as chained predictions were off on the other data sets."""
        scores = [np.empty(0)]
        for j, (runs, stage) in enumerate(zip(self.sets, stages, strict=True)):
            if j != i and stage.point is not None:
                measured = runs.errors[stage.response]
                new = runs.scattered & runs.same_recipe & ~stage.used & np.isfinite(measured)
                scores.append(np.abs(measured - stage.point)[new])
        joined, point = np.concatenate(scores), stages[i].point
        if not joined.size or point is None:
            return None
        half = upper_quantile(joined, self.settings.level)
        return np.clip(point - half, 0, 1)[held], np.clip(point + half, 0, 1)[held]


def worst(statuses: Iterable[str]) -> str:
    """Return the least favourable status."""
    order = ("not valid", "conservative", "valid")
    return min(statuses, key=lambda status: order.index(status.partition(":")[0]))


def _try(name: str, problem: Problem) -> Interval | None:
    try:
        return get_method(name).interval(problem)
    except ScalebedError:
        return None


def _quantiles(stage: Stage, held: Mask, level: float) -> tuple[Array, Array] | None:
    if stage.draws is None:
        return None
    low, high = interval_of(stage.draws[:, held], level)
    return low, high
