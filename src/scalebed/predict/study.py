"""Fit the laws of a whole study: tables in, fits, draws and predictions out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.core.files import write_parquet
from scalebed.core.provenance import canonical_json
from scalebed.laws import get_law
from scalebed.laws.forms.base import names
from scalebed.predict.bootstrap import bootstrap
from scalebed.predict.build import build_stage, law_scatters
from scalebed.predict.forward_fit import with_evidence
from scalebed.predict.loss_stages import loss_stages
from scalebed.predict.open_study import read_tables
from scalebed.predict.pooled import pool_rows
from scalebed.predict.rows import (
    Row,
    fit_row,
    influence_rows,
    parameter_rows,
    prediction_rows,
)
from scalebed.predict.runs import AVERAGE, Runs, collect_runs
from scalebed.predict.settings import Settings, parse_settings
from scalebed.predict.stages import Stage

if TYPE_CHECKING:
    import pyarrow

_log = logging.getLogger(__name__)


def fit_files(tables: Path, out: Path, params: str) -> None:
    """Read ``tables/*.parquet``, fit, and write the tables of the stage into `out`.

    ``fits.parquet`` is written last: when it is there, the others are complete.

    Raises
    ------
    ScalebedError
        If the settings or the tables are not usable.
    """
    settings = parse_settings(params)
    results = fit_study(read_tables(tables), settings)
    # `fits` comes last: when it is there, the others are complete.
    for name in sorted(results, key=lambda name: name == "fits"):
        write_parquet(out / f"{name}.parquet", results[name])


def fit_study(tables: dict[str, list[Row]], settings: Settings) -> dict[str, pyarrow.Table]:
    """Fit every law to every data set of a study.

    Parameters
    ----------
    tables : dict
        Rows of ``cells``, ``losses`` and ``tasks``, in any order.
    settings : Settings

    Returns
    -------
    dict
        Tables by name, those of `scalebed.tables.declared.fits`; a function of the
        content of the rows and the settings alone.

    Raises
    ------
    ScalebedError
        If the tables contradict themselves or lack the validation sets asked for.
    """
    sets = collect_runs(tables, settings.averages)
    if settings.every_loss:
        found = {row["validation"] for row in tables["losses"]} - {settings.loss}
        settings = replace(settings, losses=(settings.loss, *sorted(found)))
    _check_losses(tables["losses"], settings)
    responses = _responses(tables["tasks"], settings)
    laws = _Laws(sets, responses, settings)
    beside = _Laws(sets, responses, settings.besides) if settings.besides else None
    pooled = pool_rows(sets, (beside or laws).yardsticks, settings.besides or settings)
    metadata = {"params": canonical_json(settings.to_json())}
    rows = laws.rows | {
        f"beside_{name}": beside.rows[name] if beside else []
        for name in ("fits", "fit_parameters", "predictions")
    }
    return {
        "draws": _draw_table(laws.kept).replace_schema_metadata(metadata),
        **{name: _row_table(name, found, metadata) for name, found in (rows | pooled).items()},
    }


class _Laws:
    """The fitted laws of all data sets with one set of settings."""

    def __init__(self, sets: Sequence[Runs], responses: Sequence[str], settings: Settings) -> None:
        self.settings = settings
        names = ("fits", "fit_parameters", "predictions", "influence")
        self.rows: dict[str, list[Row]] = {name: [] for name in names}
        self.kept: list[tuple[Stage, str]] = []
        losses = [
            [
                with_evidence(stage, runs, "loss", settings)
                for runs, stage in zip(
                    sets, loss_stages(sets, name, settings, evidence=True), strict=True
                )
            ]
            for name in settings.losses
        ]
        self.yardsticks = losses[0]
        scatters = {name: law_scatters(sets, name, "error", settings) for name in responses}
        for i, runs in enumerate(sets):
            for stages in losses:
                self._keep(stages[i], runs, "loss", None)
            for name in responses:
                loss = self.yardsticks[i]
                error = build_stage(runs, name, scatters[name], settings, bootstrap, loss)
                self._keep(with_evidence(error, runs, "error", settings), runs, "error", loss)

    def _keep(self, stage: Stage, runs: Runs, kind: str, loss: Stage | None) -> None:
        _log.info("%s law of %s, %s: %s", kind, runs.dataset, stage.response, stage.reason or "ok")
        settings, rows = self.settings, self.rows
        rows["fits"].append(fit_row(stage, runs, kind))
        rows["fit_parameters"].extend(parameter_rows(stage, kind, settings.level))
        rows["predictions"].extend(prediction_rows(stage, runs, kind, loss, settings))
        rows["influence"].extend(influence_rows(stage, runs, kind, settings))
        self.kept.append((stage, kind))


def _check_losses(rows: list[Row], settings: Settings) -> None:
    known = {row["validation"] for row in rows}
    for name in settings.losses:
        # Nothing measured at all is no typing error: every law is refused for want of points.
        if known and name not in known:
            found = ", ".join(sorted(known)) or "none"
            raise ScalebedError(f"validation set {name!r} is not in the losses table ({found})")


def _responses(rows: list[Row], settings: Settings) -> list[str]:
    """Name the average, if any task counts in it, and the single tasks if asked for."""
    names = [AVERAGE] if any(row["in_average"] for row in rows) else []
    names += list(settings.averages) if rows else []
    return names + (sorted({row["task"] for row in rows}) if settings.per_task else [])


def _draw_table(stages: list[tuple[Stage, str]]) -> pyarrow.Table:
    """Table draws: every parameter of every draw, in long form."""
    import pyarrow

    parts = []
    for stage, kind in stages:
        if stage.theta is None:
            continue
        count, parameters = stage.theta.shape
        labels = {"dataset": stage.dataset, "kind": kind, "law": stage.law}
        columns: Row = {"draw": np.tile(np.arange(count), parameters)}
        for name, value in (labels | {"response": stage.response}).items():
            columns[name] = pyarrow.repeat(value, count * parameters)
        columns["parameter"] = np.repeat(names(get_law(stage.law).parameters), count)
        columns["value"] = stage.theta.T.ravel()
        parts.append(pyarrow.table(columns, schema=_schema("draws")))
    return pyarrow.concat_tables(parts) if parts else _schema("draws").empty_table()


def _row_table(name: str, rows: list[Row], metadata: dict[str, str]) -> pyarrow.Table:
    """Table of rows with the schema of `name` and the metadata given."""
    import pyarrow

    return pyarrow.Table.from_pylist(rows, _schema(name)).replace_schema_metadata(metadata)


def _schema(name: str) -> pyarrow.Schema:
    from scalebed.tables.arrow import arrow_schema
    from scalebed.tables.declared.fits import TABLES

    # Comments and units come with the database.
    return arrow_schema(TABLES[name]).remove_metadata()
