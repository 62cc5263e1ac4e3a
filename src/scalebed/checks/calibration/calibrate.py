"""Coverage, width and Winkler score of every interval method on the runs of a study."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from scalebed.checks.calibration.held_out import Evaluation, Found, worst
from scalebed.core.cells import ALL
from scalebed.laws.forms.base import Array, Mask
from scalebed.predict.bootstrap import bootstrap
from scalebed.predict.build import build_stage, law_scatters
from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import AVERAGE, Runs
from scalebed.predict.scatter import stream
from scalebed.predict.settings import Settings
from scalebed.predict.stages import inputs

Row = dict[str, Any]

FEW: Final = 10
MANY: Final = 40
SCHEMES: Final = ("simulation", "other data sets", "largest left out")


def calibrate_study(
    study: StudyFit, simulations: int | None = None, draws: int = 400, seed: int | None = None
) -> list[Row]:
    """Measure every method on a study.

    Parameters
    ----------
    study : StudyFit
    simulations : int, optional
        Simulated studies; 0 leaves that scheme out. `FEW` by default where a loss law is drawn by
        its posterior, which takes longer, else `MANY`.
    draws : int
        Draws behind each bootstrap interval of the simulation; the others use the study's own.
    seed : int, optional
        By default that of the study.

    Returns
    -------
    list of dict
        Rows of table ``calibration``, by scheme, response, data set (``all`` last) and method.
    """
    settings = replace(study.settings, seed=study.settings.seed if seed is None else seed)
    responses = _responses(study.runs, settings)
    if simulations is None:
        simulations = FEW if settings.interval == "posterior" else MANY
    rows: list[Row] = []
    if simulations:
        found = _simulated(study.runs, settings, responses, simulations, draws)
        rows += summarise(found, "simulation", settings.level)
    plain = _evaluated(study.runs, settings, responses)
    rows += summarise([list(plain)], "other data sets", settings.level)
    rest = [left_out(runs) for runs in study.runs]
    kept = [runs for runs in rest if runs is not None]
    if kept:
        found_rest = list(_evaluated(kept, settings, responses))
        rows += summarise([found_rest], "largest left out", settings.level)
    return rows


def _responses(sets: Sequence[Runs], settings: Settings) -> list[str]:
    known = sets[0].errors if sets else {}
    return [name for name in (AVERAGE, *settings.averages) if name in known]


def _evaluated(sets: Sequence[Runs], settings: Settings, responses: list[str]) -> Iterator[Found]:
    posterior = settings.interval == "posterior"
    for each in (settings, settings.refitted) if posterior else (settings,):
        evaluation = Evaluation(sets, each)
        for found in (
            *evaluation.losses(),
            *(one for response in responses for one in evaluation.errors(response)),
        ):
            # The methods that refit are there to compare with, not what the study uses.
            yield replace(found, default=found.default and each is settings)


def left_out(runs: Runs) -> Runs | None:
    """Fit all cells that estimate the scatter but for the largest size, which is the target.

    None if there is a single size.
    """
    use = (runs.scattered | runs.fit_loss) & runs.same_recipe & ~runs.target
    if not use.any() or np.ptp(runs.params[use]) == 0:
        return None
    largest = runs.params == runs.params[use].max()
    rest = use & ~largest
    return replace(
        runs,
        fit_loss=rest,
        fit_error=rest,
        target=use & largest,
        scatter=rest,
    )


def _simulated(
    sets: Sequence[Runs], settings: Settings, responses: list[str], simulations: int, draws: int
) -> list[list[Found]]:
    """Intervals of simulated studies with the cells of this one."""
    base = Evaluation(sets, replace(settings, draws=max(draws, 100)), ())
    truths = [_Truth(base, i, responses) for i in range(len(sets))]
    found = []
    for number in range(simulations):
        rng = stream(settings.seed, "calibrate", str(number))
        drawn = [truth.draw(rng) for truth in truths]
        changed = replace(base.settings, seed=settings.seed + number)
        found.append(list(_evaluated(drawn, changed, responses)))
    return found


class _Truth:
    """The fitted laws of one data set with the scatter that was chosen for them."""

    def __init__(self, base: Evaluation, i: int, responses: list[str]) -> None:
        self.runs, self.settings = base.sets[i], base.settings
        self.loss = base.loss_stages[i]
        self.errors = {}
        for name in responses:
            scatters = law_scatters(base.sets, name, "error", base.settings)
            stage = build_stage(self.runs, name, scatters, base.settings, bootstrap, self.loss)
            if stage.fit is not None and stage.sigma is not None:
                self.errors[name] = stage

    def draw(self, rng: np.random.Generator) -> Runs:
        """Return the same cells with simulated measurements."""
        runs, name, count = self.runs, self.settings.loss, len(self.runs.cells)
        normal = rng.standard_normal((1 + len(self.errors), count))
        if self.loss.point is None or self.loss.sigma is None:
            return runs
        if runs.trunk is not None:
            shared = self.loss.sigma.shared
            luck = rng.standard_normal(int(runs.trunk.max()) + 1)[runs.trunk]
            normal[0] = np.sqrt(shared) * luck + np.sqrt(1 - shared) * normal[0]
        measured = np.isfinite(runs.loss(name))
        loss = self.loss.point * (1 + self.loss.sigma.value * normal[0])
        errors = dict(runs.errors)
        for row, (response, stage) in enumerate(self.errors.items(), 1):
            if stage.fit is None or stage.sigma is None:
                continue
            scale = np.hypot(stage.sigma.value, runs.sampling[response])
            law = stage.fit.law
            x = zip(law.inputs, inputs(law, runs, response, self.settings), strict=True)
            mean = stage.fit.predict(*(loss if key == "loss" else column for key, column in x))
            value = np.clip(mean + scale * normal[row], 0.0, 1.0)
            errors[response] = np.where(np.isfinite(runs.errors[response]), value, np.nan)
        losses = {**runs.losses, name: np.where(measured, loss, np.nan)}
        return replace(runs, losses=losses, errors=errors)


def summarise(samples: Iterable[list[Found]], scheme: str, level: float) -> list[Row]:
    """Rows by response, data set and method, with a row for all data sets together.

    Parameters
    ----------
    samples : iterable of lists of Found
        One list a simulated study; a single one otherwise.
    scheme : str
    level : float
    """
    groups: dict[tuple[str, str, str], list[list[Found]]] = {}
    for sample in samples:
        own: dict[tuple[str, str, str], list[Found]] = {}
        for found in sample:
            for dataset in {found.dataset: None, ALL: None}:
                own.setdefault((found.response, dataset, found.method), []).append(found)
        for key, several in own.items():
            groups.setdefault(key, []).append(several)
    single = {found.dataset for several in groups.values() for s in several for found in s}
    return [
        _row(key, several, scheme, level)
        for key, several in groups.items()
        if key[1] in single or len(single) > 1
    ]


def _row(key: tuple[str, str, str], several: list[list[Found]], scheme: str, level: float) -> Row:
    parts = [found for sample in several for found in sample]
    inside, width, score = (
        np.concatenate(c) for c in zip(*map(_judged(level), parts), strict=True)
    )
    first = parts[0]
    statuses = {part.status for part in parts}
    return {
        "dataset": key[1],
        "response": key[0],
        "kind": first.kind,
        "scheme": scheme,
        "method": key[2],
        "status": statuses.pop() if len(statuses) == 1 else worst(sorted(statuses)),
        "chosen": any(part.default for part in parts),
        "cells": inside.size,
        "covered": int(inside.sum()),
        "coverage": float(inside.mean()),
        "coverage_error": _coverage_error(several, inside),
        "width": float(np.median(width)),
        "width_mean": float(width.mean()),
        "winkler": float(score.mean()),
        "level": level,
    }


def _judged(level: float) -> Any:
    """Return a function that gives coverage, width and Winkler score of every cell."""

    def judge(found: Found) -> tuple[Mask, Array, Array]:
        scale = found.measured if found.kind == "loss" else np.ones_like(found.measured)
        low, high, y = found.lower / scale, found.upper / scale, found.measured / scale
        return (low <= y) & (y <= high), high - low, winkler(low, high, y, level)

    return judge


def winkler(lower: Array, upper: Array, measured: Array, level: float) -> Array:
    """Winkler score: width, plus 2 / (1 - level) for every unit the value lies outside."""
    missed = np.maximum(lower - measured, 0) + np.maximum(measured - upper, 0)
    score: Array = upper - lower + 2 / (1 - level) * missed
    return score


def _coverage_error(several: list[list[Found]], inside: Array) -> float:
    """Compute the standard error: between simulated studies, or binomial where there is one.

    Branches of one trunk are inside or outside together, as if they were one.
    """
    if len(several) == 1:
        share = (inside.sum() + 1) / (inside.size + 2)
        return float(np.sqrt(share * (1 - share) / sum(found.units for found in several[0])))
    means = [
        np.mean(np.concatenate([(f.lower <= f.measured) & (f.measured <= f.upper) for f in sample]))
        for sample in several
    ]
    return float(np.std(means, ddof=1) / np.sqrt(len(means)))
