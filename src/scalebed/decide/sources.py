"""Where a curve comes from: a plain table of runs, a study, or constants that somebody printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.decide.curve import Curve, Outcome
from scalebed.decide.surface import inputs_for
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Index, Law, names
from scalebed.predict.draws import interval_of
from scalebed.predict.independent import joined
from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import Runs
from scalebed.predict.settings import Settings
from scalebed.predict.stages import Carried, Stage
from scalebed.predict.study_laws import StudyLaws, cell_of
from scalebed.predict.table import TableLaws, refused
from scalebed.predict.table_runs import Target
from scalebed.predict.words import method, numbers_of, prediction_words
from scalebed.tables.runs_table import RunTable

GIVEN: Final = "given: constants without draws, so there is no interval"
_TABLES: Final = (".csv", ".tsv", ".parquet")


def is_table(text: str | Path) -> bool:
    """Whether a source is a plain table of runs, by its name; else it is a study."""
    return Path(text).suffix.lower() in _TABLES


def table_curves(table: RunTable, settings: Settings) -> list[Curve]:
    """Return the curve of every data set of a table that has a loss law.

    Raises
    ------
    ScalebedError
        If none has one.
    """
    asked = _AskTable(TableLaws(table, settings))
    kept: dict[str, Stage] = {}
    curves = []
    for group, one in asked.laws.carried(()):
        if one.stage.response != "loss":
            continue
        kept[group.dataset] = one.stage
        if one.stage.fit is None:
            continue
        at = group.rows[np.isfinite(table.losses["loss"][group.rows])]
        unique = table.unique_tokens
        columns = (
            table.params[at],
            table.tokens[at],
            table.losses["loss"][at],
            (table.tokens if unique is None else unique)[at],
        )
        rows = columns, joined([table.units[at], table.designs[at], table.trunks[at]], at.size)
        curves.append(_curve(str(table.path), one.stage, one.runs, rows, settings, asked))
    refused(table, kept, settings)
    return curves


def study_curves(study: StudyFit) -> list[Curve]:
    """Return the curve of every data set of a study that has a loss law.

    Raises
    ------
    ScalebedError
        If none has one.
    """
    asked = _AskStudy(StudyLaws(study))
    curves, reasons = [], []
    for one in asked.laws.carried((), tasks=False):
        runs, stage = one.runs, one.stage
        if stage.fit is None:
            reasons.append(f"{stage.dataset}: {stage.reason}")
            continue
        unique = runs.column("unique_tokens", stage.response, study.settings.loss)
        columns = tuple(
            column[stage.used]
            for column in (runs.params, runs.tokens, runs.loss(stage.response), unique)
        )
        name = f"study {study.name}"
        rows = columns, runs.groups(stage.used)
        curves.append(_curve(name, stage, runs, rows, study.settings, asked))
    if not curves:
        raise ScalebedError(f"study {study.name} has no loss law ({'; '.join(reasons)})")
    return curves


def constant_curve(law_name: str, constants: Mapping[str, float], level: float = 0.9) -> Curve:
    """Return the curve of a law whose parameters are given.

    Raises
    ------
    ScalebedError
        If the law is unknown, or the parameters are not those of the law.
    """
    law = get_law(law_name, "loss")
    wanted = names(law.parameters)
    if set(constants) != set(wanted):
        found = ", ".join(constants) or "none"
        raise ScalebedError(
            f"--params has {found}, expected {', '.join(wanted)} of law {law.name} ({law.formula})"
        )
    for parameter in law.parameters:
        value = constants[parameter.name]
        # Limits of fits are narrower than those of a formula, but for the sign.
        if not value > 0 and not (value == 0 and parameter.lower == 0):
            raise ScalebedError(f"--params: {parameter.name} is {value:g}, expected above 0")
    theta = np.array([constants[name] for name in wanted])
    source = "constants " + ", ".join(f"{name}={constants[name]:g}" for name in wanted)

    def ask(targets: tuple[Target, ...]) -> list[list[Outcome]]:
        return [[_constant_outcome(law, theta, target, source)] for target in targets]

    nothing = np.zeros(0)
    return Curve(
        source=source,
        dataset=law.name,
        response="loss",
        law=law,
        theta=theta[None],
        middle=theta,
        params=nothing,
        tokens=nothing,
        loss=nothing,
        unique_tokens=nothing,
        sigma=None,
        level=level,
        numbers=GIVEN,
        evidence=None,
        ask=ask,
    )


def _constant_outcome(law: Law, theta: Array, target: Target, source: str) -> Outcome:
    run = (np.array([amount]) for amount in (target.params, target.tokens, target.seen))
    value = float(law.predict(theta, inputs_for(law, *run))[0])
    return Outcome("loss", "loss", target, value, None, None, GIVEN, None, None, source)


def _curve(
    source: str,
    stage: Stage,
    runs: Runs,
    rows: tuple[tuple[Array, ...], Index],
    settings: Settings,
    asked: _AskTable | _AskStudy,
) -> Curve:
    if stage.fit is None:
        raise AssertionError("a refused law has no curve")
    theta = stage.fit.theta[None] if stage.theta is None else stage.theta
    (params, tokens, loss, unique), groups = rows
    return Curve(
        source=source,
        dataset=stage.dataset,
        response=stage.response,
        law=stage.fit.law,
        theta=theta,
        middle=stage.fit.theta,
        params=params,
        tokens=tokens,
        loss=loss,
        unique_tokens=unique,
        sigma=None if stage.sigma is None else stage.sigma.value,
        level=settings.level,
        numbers=numbers_of(stage, runs),
        evidence=stage.evidence,
        ask=lambda targets: asked(stage.dataset, targets),
        groups=groups,
    )


@dataclass(frozen=True)
class _AskTable:
    """Carries the laws of a table to targets of one data set."""

    laws: TableLaws

    def __call__(self, dataset: str, targets: tuple[Target, ...]) -> list[list[Outcome]]:
        found: list[list[Outcome]] = [[] for _ in targets]
        asked = tuple(_of(dataset, target) for target in targets)
        for group, one in self.laws.carried(asked):
            if group.dataset == dataset:
                for i, target in enumerate(targets):
                    at = one.runs.cells.index(target.cell)
                    found[i].append(_outcome(one, at, target, self.laws.settings))
        return found


@dataclass(frozen=True)
class _AskStudy:
    """Carries the laws of a study to targets of one data set."""

    laws: StudyLaws

    def __call__(self, dataset: str, targets: tuple[Target, ...]) -> list[list[Outcome]]:
        found: list[list[Outcome]] = [[] for _ in targets]
        asked = tuple(_of(dataset, target) for target in targets)
        for one in self.laws.carried(asked):
            if one.runs.dataset == dataset:
                for i, target in enumerate(asked):
                    at = one.runs.cells.index(cell_of(dataset, target))
                    found[i].append(_outcome(one, at, targets[i], self.laws.study.settings))
        return found


def _outcome(one: Carried, at: int, target: Target, settings: Settings) -> Outcome:
    runs, stage, kind, loss = one
    reason = stage.reason or (None if loss is None else loss.reason)
    limits: list[float | None] = [None, None]
    quantiles = None
    if stage.draws is not None:
        limits = interval_of(stage.draws[:, at], settings.level).tolist()
        quantiles = tuple(np.quantile(stage.draws[:, at], np.linspace(0, 1, 101)).tolist())
    direct = get_law(stage.law).kind == "direct"
    numbers, evidence = prediction_words(stage, loss, runs, (target.params, target.tokens))
    return Outcome(
        response=stage.response,
        kind=kind,
        target=target,
        predicted=None if stage.point is None else float(stage.point[at]),
        lower=limits[0],
        upper=limits[1],
        numbers=numbers,
        evidence=evidence,
        reason=reason,
        contains=method(stage, loss, settings, direct),
        quantiles=quantiles,
    )


def _of(dataset: str, target: Target) -> Target:
    return Target(target.params, target.tokens, dataset, target.unique_tokens)
