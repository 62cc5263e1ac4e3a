"""Records of all cells of a study → four parquet tables and the provenance rows they imply."""

import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow

from scalebed.core.errors import ScalebedError
from scalebed.core.files import write_parquet
from scalebed.tables.arrow import arrow_schema, conform, from_rows
from scalebed.tables.declared.cells import (
    ARGUMENTS,
    CELLS,
    CURVES,
    LOSSES,
    PROVENANCE,
    SEARCH,
    TASKS,
)
from scalebed.tables.records import COORDINATES, CellRecords, read_cell
from scalebed.tables.trunks import TRUNKS, read_trunk, saved_steps, spent, trunk_ends

FLAGS = ("fit_loss", "fit_error", "target", "scatter")
_log = logging.getLogger(__name__)


def tabulate_cells(params: Mapping[str, Any], cells: Path, out: Path) -> None:
    """Write the tables cells, curves, losses, tasks and provenance of a study.

    The content depends on the records alone, not on the order in which cells finished or are
    listed.

    Parameters
    ----------
    params
        ``{"study", "cells": [{"cell", dataset, size, ratio, recipe, seed, "fit_loss",
        "fit_error", "target", "scatter"}, …], "tasks_in_average": [task, …], "suite"}``;
        ``suite`` is None for a study without tasks.
    cells
        Root folder of all cells; that of the trunks lies beside it.
    out
        Folder of the parquet files.

    Raises
    ------
    ScalebedError
        If a record is missing, garbled or of another cell, a cell is listed twice, or a finished
        cell lacks a task of the average.
    """
    listed = sorted(params["cells"], key=lambda entry: entry["cell"])
    _check_listed(listed)
    records = [read_cell(cells / entry["cell"], entry, params["suite"]) for entry in listed]
    rows = [
        {**{name: entry[name] for name in (*COORDINATES, *FLAGS)}, **record.metrics}
        for entry, record in zip(listed, records, strict=True)
    ]
    tasks = _tasks(records, params["tasks_in_average"])
    tables = {
        CELLS: from_rows(CELLS, rows, "cells"),
        CURVES: _curves(records),
        LOSSES: from_rows(LOSSES, (row for record in records for row in record.losses), "losses"),
        TASKS: from_rows(TASKS, tasks, "tasks"),
        PROVENANCE: from_rows(
            PROVENANCE, _provenance(rows, records, cells.parent / TRUNKS), "provenance"
        ),
        # Only imported studies have these.
        ARGUMENTS: arrow_schema(ARGUMENTS).empty_table(),
        SEARCH: arrow_schema(SEARCH).empty_table(),
    }
    for table, data in tables.items():
        write_parquet(out / f"{table.name}.parquet", data)
    counts = {status: sum(row["status"] == status for row in rows) for status in _statuses(rows)}
    _log.info(
        "gathered %d cells (%s), %d losses, %d task results, %d curve points",
        len(rows),
        ", ".join(f"{number} {status}" for status, number in counts.items()),
        tables[LOSSES].num_rows,
        tables[TASKS].num_rows,
        tables[CURVES].num_rows,
    )


def _statuses(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted({row["status"] for row in rows})


def _check_listed(listed: Sequence[Mapping[str, Any]]) -> None:
    if not listed:
        raise ScalebedError("the study lists no cells, expected at least one")
    for one, other in itertools.pairwise(listed):
        if one["cell"] == other["cell"]:
            raise ScalebedError(f"the study lists cell {one['cell']} twice")


def _curves(records: Iterable[CellRecords]) -> pyarrow.Table:
    parts = []
    for record in records:
        source = f"curve.parquet of {record.metrics['cell']}"
        parts.append(conform(CURVES, record.curve, source))
    return pyarrow.concat_tables([arrow_schema(CURVES).empty_table(), *parts]).combine_chunks()


def _tasks(records: Iterable[CellRecords], average: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for record in records:
        done = {row["task"] for row in record.tasks}
        missing = sorted(set(average) - done) if done else []
        if missing:
            named = ", ".join(map(repr, missing))
            raise ScalebedError(
                f"tasks.json of {record.metrics['cell']} has no task {named}, "
                "which the study counts in the average error"
            )
        rows += [{**row, "in_average": row["task"] in average} for row in record.tasks]
    return rows


def _provenance(
    rows: Sequence[Mapping[str, Any]], records: Sequence[CellRecords], trunks: Path
) -> list[dict[str, Any]]:
    """Return the facts about the making of the cells as key/value rows."""
    facts: dict[str, Any] = {"cells": len(rows)}
    for status in _statuses(rows):
        facts[f"cells_{status}"] = sum(row["status"] == status for row in rows)
    done = [row for row in rows if row["status"] == "done"]
    facts["tokens_trained"] = sum(row["tokens"] for row in done) - sum(
        row["batch_tokens"] * steps for row, steps in zip(done, saved_steps(done), strict=True)
    )
    for name in ("flops", "flops_exact"):
        facts[f"{name}_trained"] = spent(done, name)
    facts["train_device_seconds"] = sum(row["seconds"] * (row["ranks"] or 1) for row in rows)
    for name in records[0].seconds:
        facts[f"{name}_seconds"] = sum(record.seconds[name] for record in records)
    if begun := {row["trunk"] for row in rows if row["trunk"]}:
        _add_trunks(facts, trunk_ends(done), begun, trunks)
    facts.update(_runs(run for record in records for run in record.runs.values()))
    return [{"key": key, "value": _word(value)} for key, value in facts.items()]


def _add_trunks(
    facts: dict[str, Any], ends: Mapping[str, int], begun: set[str], trunks: Path
) -> None:
    """Add what the trunks took up to where their last finished branch leaves them."""
    found = [read_trunk(trunks, trunk, step) for trunk, step in sorted(ends.items())]
    known = [each for each in found if each is not None]
    facts["trunks"] = len(begun)
    facts["trunks_of_unknown_time"] = len(begun) - len(known)
    facts["train_device_seconds"] += sum(each.device_seconds for each in known)
    facts["train_wall_seconds"] += sum(each.wall_seconds for each in known)


def _runs(runs: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the distinct commits, versions and machine kinds of the jobs, and when they ran."""
    values: dict[str, set[str]] = {}
    for run in runs:
        for key in ("scalebed", "git_commit", "python", "platform", "started"):
            if run.get(key) is not None:
                values.setdefault(key, set()).add(str(run[key]))
        for package, version in (run.get("versions") or {}).items():
            values.setdefault(f"version_{package}", set()).add(str(version))
    started = sorted(values.pop("started", set()))
    facts = {key: ", ".join(sorted(found)) for key, found in values.items()}
    if started:
        facts["first_job_started"], facts["last_job_started"] = started[0], started[-1]
    return facts


def _word(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)
