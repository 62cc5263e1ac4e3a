"""Imported cells → the same tables that trained cells give."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import scalebed
from scalebed.core.cells import RANGES, Cell
from scalebed.core.errors import ScalebedError
from scalebed.core.files import write_parquet
from scalebed.study.fit_sections import Fit
from scalebed.study.roles import cell_roles
from scalebed.tables.arrow import arrow_schema, from_rows
from scalebed.tables.declared.cells import (
    ARGUMENTS,
    CELL_TABLES,
    CELLS,
    LOSSES,
    PROVENANCE,
    SEARCH,
    TASKS,
)
from scalebed.tables.declared.columns import Table
from scalebed.tables.imports.base import Imported, Row, import_any
from scalebed.tables.readable import require_readable

# There is nothing to fit a planned cell to, and all to predict.
_TO_COME = {"fit_loss": False, "fit_error": False, "target": True, "scatter": False}
_log = logging.getLogger(__name__)


def tabulate_import(params: Mapping[str, Any], path: Path, out: Path) -> None:
    """Import cells and write the tables of the study.

    Parameters
    ----------
    params
        ``{"study", "importer", "options", "average", "fit"}``; ``fit`` holds the selectors of the
        study file that say what a cell is there for, ``average`` the tasks of the average error
        (None for all).
    path
        What the importer reads.
    out
        Folder of the parquet files.

    Raises
    ------
    ScalebedError
        If the source cannot be read or has a name that cannot be, a selector matches no cell, or a
        task of the average is missing everywhere.
    """
    found = import_any(params["importer"], path, params["options"])
    for name, own in (("cells", found.cells), ("losses", found.losses), ("tasks", found.tasks)):
        require_readable(path, name, own)
    rows = {
        CELLS: _cells(found, params, path),
        LOSSES: _filled(LOSSES, found.losses),
        TASKS: _tasks(found, params),
        PROVENANCE: _provenance(found, params),
        ARGUMENTS: found.arguments,
        SEARCH: found.search,
    }
    for table in CELL_TABLES:
        data = (
            from_rows(table, rows[table], str(path))
            if table in rows
            else arrow_schema(table).empty_table()
        )
        write_parquet(out / f"{table.name}.parquet", data)
    done = sum(row["status"] == "done" for row in rows[CELLS])
    _log.info("imported %d cells, %d of them done", len(rows[CELLS]), done)


def _filled(table: Table, rows: list[Row]) -> list[Row]:
    """Return rows in which every column is there, None where nothing is known."""
    empty: Row = dict.fromkeys(table.names)
    return [empty | row for row in rows]


def _cells(found: Imported, params: Mapping[str, Any], path: Path) -> list[Row]:
    try:
        return imported_cells(found, params["fit"])
    except ScalebedError as error:
        raise ScalebedError(f"study {params['study']}, cells of {path}: {error}") from error


def imported_cells(found: Imported, selectors: Mapping[str, Any]) -> list[Row]:
    """Return the rows of table ``cells`` with what each is there for; planned ones are targets.

    Raises
    ------
    ScalebedError
        If a selector matches no cell, or a cell is both fitted to and a target.
    """
    cells = {Cell(*(row[name] for name in Cell._fields)): row for row in found.cells}
    fit = Fit.model_validate({"loss": "any", **selectors})
    roles = cell_roles(list(cells), fit, lambda cell: {k: cells[cell].get(k) for k in RANGES})
    rows = [row | roles[cell] for cell, row in cells.items()]
    rows = [row | _TO_COME if row["status"] == "planned" else row for row in rows]
    return _filled(CELLS, rows)


def _tasks(found: Imported, params: Mapping[str, Any]) -> list[Row]:
    names = {row["task"] for row in found.tasks}
    average = names if params["average"] is None else set(params["average"])
    if names and (missing := sorted(average - names)):
        raise ScalebedError(
            f"study {params['study']}: average: no task is called "
            f"{', '.join(map(repr, missing))}; there is {', '.join(sorted(names))}"
        )
    rows = [
        row | {"suite": params["importer"], "in_average": row["task"] in average}
        for row in found.tasks
    ]
    return _filled(TASKS, rows)


def _provenance(found: Imported, params: Mapping[str, Any]) -> list[Row]:
    facts: dict[str, Any] = {
        "cells": len(found.cells),
        "importer": params["importer"],
        "scalebed_imported_with": scalebed.__version__,
        **found.facts,
    }
    for status in sorted({row["status"] for row in found.cells}):
        facts[f"cells_{status}"] = sum(row["status"] == status for row in found.cells)
    done = [row for row in found.cells if row["status"] == "done"]
    facts["tokens_trained"] = sum(row["tokens"] for row in done)
    facts["flops_trained"] = repr(float(sum(row["flops"] for row in done)))
    return [{"key": key, "value": str(value)} for key, value in facts.items()]
