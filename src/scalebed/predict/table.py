"""Fit the laws to a plain table of runs and predict targets; no study is needed.

Up to `LARGE` finished runs a data set goes through the joint bootstrap of a study; above, the
parameters are drawn by the delta method of `scalebed.predict.large`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from scalebed import __version__
from scalebed.core.errors import ScalebedError
from scalebed.fit.posterior import Points
from scalebed.fit.result import FitRefusedError, FitResult
from scalebed.laws import get_law
from scalebed.predict.bootstrap import bootstrap
from scalebed.predict.build import Scatters, build_stage, law_of
from scalebed.predict.draws import interval_of
from scalebed.predict.evidence import Evidence
from scalebed.predict.forward_fit import with_evidence
from scalebed.predict.large import HUGE, fit_large, sandwich
from scalebed.predict.posterior import Candidate, Given, candidates, check_settings
from scalebed.predict.rows import fit_row, parameter_rows
from scalebed.predict.runs import Runs
from scalebed.predict.scatter import scatter_of
from scalebed.predict.settings import Settings
from scalebed.predict.stages import Carried, Measured, Stage
from scalebed.predict.table_runs import Group, Target, groups_of, runs_of, with_planned
from scalebed.predict.words import prediction_words, verdict
from scalebed.tables.runs_notes import about, notes
from scalebed.tables.runs_table import RunTable

Record = dict[str, Any]
# What a law was fitted to, and its fit or why it was refused.
Fitted = tuple[Measured, FitResult | str]


class TableLaws:
    """The laws of all data sets of a table: found once, carried to any targets.

    Parameters
    ----------
    table : RunTable
    settings : Settings
        Every column of the table is fitted, whatever `losses` and `per_task` say.
    """

    def __init__(self, table: RunTable, settings: Settings) -> None:
        self.table = table
        self.settings = settings
        self._drawn: dict[str, dict[str, Candidate | str]] = {}
        self._found: dict[str, dict[str, Fitted]] = {}
        self._evidence: dict[tuple[str, str], Evidence | None] = {}
        for response in (*table.losses, *table.errors):
            self._find(response)

    def kind(self, response: str) -> str:
        """Whether a column is a loss or an error."""
        return "loss" if response in self.table.losses else "error"

    def _find(self, response: str) -> None:
        groups, settings, kind = groups_of(self.table, ()), self.settings, self.kind(response)
        drawn: dict[str, Candidate | str] = {}
        if kind == "loss" and settings.interval == "posterior":
            given = _given(groups, response, settings)
            drawn = candidates(given, settings.loss_options, settings.level)
        self._drawn[response] = drawn
        self._found[response] = {
            group.dataset: _fit(group, response, kind, settings, drawn.get(group.dataset))
            for group in groups
        }

    def carried(self, targets: tuple[Target, ...]) -> Iterator[tuple[Group, Carried]]:
        """Draw every law and carry it to targets, column after column.

        Raises
        ------
        ScalebedError
            If a target names an unknown data set.
        """
        groups, settings = groups_of(self.table, targets), self.settings
        kept: dict[str, Stage] = {}
        for response, found in self._found.items():
            kind, drawn = self.kind(response), self._drawn[response]
            scatters = _scatters(found)
            for group in groups:
                runs = runs_of(group)
                loss = kept.get(group.dataset) if kind == "error" else None
                way, fitted = bootstrap, None
                if group.large:
                    # Its runs are the targets alone, and its fit is not made twice.
                    way, fitted = sandwich, found[group.dataset]
                candidate = drawn.get(group.dataset)
                if candidate is not None:
                    fitted = found[group.dataset]
                    way = bootstrap if isinstance(candidate, str) else candidate.draw
                stage = build_stage(runs, response, scatters, settings, way, loss, fitted)
                if group.large:
                    stage = replace(stage, independent=group.independent(response))
                else:
                    stage = self._with_evidence(stage, runs, kind)
                if response == "loss":
                    kept[group.dataset] = stage
                yield group, Carried(runs, stage, kind, loss)

    def _with_evidence(self, stage: Stage, runs: Runs, kind: str) -> Stage:
        """Add what the data say of a law, which no target changes."""
        key = (stage.dataset, stage.response)
        if key not in self._evidence:
            self._evidence[key] = with_evidence(stage, runs, kind, self.settings).evidence
        return replace(stage, evidence=self._evidence[key])


def fit_table(table: RunTable, targets: tuple[Target, ...], settings: Settings) -> Record:
    """Fit every law to every data set of a table; what it plans is predicted too.

    Parameters
    ----------
    table : RunTable
    targets : tuple of Target
    settings : Settings
        Every column of the table is fitted, whatever `losses` and `per_task` say.

    Returns
    -------
    dict
        The content of the JSON file, see docs/fit.md.

    Raises
    ------
    ScalebedError
        If no data set has a loss law, or a target names an unknown data set.
    """
    targets = with_planned(table, targets)
    groups_of(table, targets)
    fits: list[Record] = []
    predictions: list[Record] = []
    kept: dict[str, Stage] = {}
    for group, one in TableLaws(table, settings).carried(targets):
        if one.stage.response == "loss":
            kept[group.dataset] = one.stage
        fits.append(_fit_record(group, one, settings))
        predictions.extend(_predictions(group, one, settings))
    refused(table, kept, settings)
    return {
        "schema": "scalebed.fit",
        "version": 1,
        "scalebed": __version__,
        "table": about(table),
        "settings": {
            key: getattr(settings, key)
            for key in ("loss_law", "error_law", "interval", "draws", "level", "seed")
        },
        "fits": fits,
        "predictions": predictions,
        "warnings": list(notes(table)),
    }


def refused(table: RunTable, losses: Mapping[str, Stage], settings: Settings) -> None:
    """Raise ScalebedError if no data set has a loss law."""
    if any(stage.fit is not None for stage in losses.values()):
        return
    reasons = "; ".join(f"{name}: {stage.reason}" for name, stage in losses.items())
    said = "; ".join([reasons, *(note for note in notes(table) if _is_lost(note))])
    raise ScalebedError(f"{table.path}: the {settings.loss_law} law is refused ({said})")


def _is_lost(note: str) -> bool:
    return any(words in note for words in ("finite loss:", "no loss yet:", "no finished run"))


def _given(groups: list[Group], response: str, settings: Settings) -> dict[str, Given]:
    """Return what a posterior is computed from, by data set."""
    law, options = law_of("loss", settings), settings.loss_options
    check_settings(settings)
    found = {}
    for group in groups:
        if group.rows.size > HUGE:
            continue
        measured = group.measured(response, law, options)
        known = np.isfinite(group.table.losses[response][group.rows])
        shared = (group.trunks[known], group.units[known], group.designs[known])
        params, tokens = measured.x
        points = Points(params, tokens, measured.y, shared)
        found[group.dataset] = Given(points, group.names(known))
    return found


def _fit(
    group: Group, response: str, kind: str, settings: Settings, drawn: Candidate | str | None
) -> Fitted:
    options = settings.loss_options if kind == "loss" else settings.error_options
    measured = group.measured(response, law_of(kind, settings), options)
    if drawn is not None:
        return measured, drawn if isinstance(drawn, str) else drawn.fit
    try:
        if group.large:
            return measured, fit_large(measured.law, measured.x, measured.y, options)
        return measured, measured.fit()
    except FitRefusedError as refused:
        return measured, str(refused)


def _scatters(found: dict[str, Fitted]) -> Scatters:
    """Scatter of every data set about its own law."""
    return {
        dataset: None if isinstance(fit, str) else scatter_of(fit, measured.apart)
        for dataset, (measured, fit) in found.items()
    }


def _fit_record(group: Group, one: Carried, settings: Settings) -> Record:
    runs, stage, kind, _ = one
    law = get_law(stage.law)
    row = fit_row(stage, runs, kind)
    kept = [
        "kind",
        "dataset",
        "response",
        "points",
        "degrees_of_freedom",
        "rmse",
        "sigma",
        "sigma_source",
        "converged",
        "bounds_hit",
        "status",
        "reason",
        "numbers",
        "evidence",
        "verdict",
    ]
    values = [column[group.rows] for column in (group.table.params, group.table.tokens)]
    return {key: row[key] for key in kept} | {
        "law": f"{law.name}@{law.version}",
        "formula": law.formula,
        "independent": stage.independent,
        "outlying": list(stage.evidence.outlying) if stage.evidence else [],
        "sigma_dof": stage.sigma.dof if stage.sigma else None,
        "method": "none" if stage.theta is None else f"{stage.method}, {settings.draws} draws",
        "range": {
            name: [float(column.min()), float(column.max())] if column.size else None
            for name, column in zip(("params", "tokens"), values, strict=True)
        },
        "parameters": {
            found["parameter"]: {key: found[key] for key in ("value", "lower", "upper", "unit")}
            for found in parameter_rows(stage, kind, settings.level)
        },
    }


def _predictions(group: Group, one: Carried, settings: Settings) -> Iterator[Record]:
    runs, stage, kind, loss = one
    start = 0 if group.large else group.rows.size
    largest = float(
        np.max(6 * group.table.params[group.rows] * group.table.tokens[group.rows], initial=0.0)
    )
    reason = stage.reason or (loss.reason if kind == "error" and loss is not None else None)
    for i, target in enumerate(group.targets, start):
        limits: list[float | None] = [None, None]
        if stage.draws is not None:
            limits = interval_of(stage.draws[:, i], settings.level).tolist()
        flops = 6 * target.params * target.tokens
        numbers, evidence = prediction_words(stage, loss, runs, (target.params, target.tokens))
        yield {
            "dataset": group.dataset,
            "kind": kind,
            "response": stage.response,
            "run": target.name,
            "params": target.params,
            "tokens": target.tokens,
            "unique_tokens": target.unique_tokens,
            "flops": flops,
            "times_largest_run": flops / largest if largest else None,
            "predicted": None if stage.point is None else float(stage.point[i]),
            "lower": limits[0],
            "upper": limits[1],
            "level": settings.level,
            "numbers": numbers,
            "evidence": evidence,
            "verdict": verdict(numbers, evidence),
            "reason": reason,
        }
