"""The plan of a study that imports its cells: nothing trains, so these are cells and roles."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError
from scalebed.core.quantities import amount_text
from scalebed.core.shown import in_line
from scalebed.plan.render import aligned, naming, role_text
from scalebed.study.imported import ROLES, ImportedStudy
from scalebed.tables.imports.base import import_any
from scalebed.tables.imports.tabulate import imported_cells

_FETCHED = Path("results/imports/testbed/exp_data")
_HEADER = ("cell", "N", "D", "M", "FLOPs", "role", "state")
_KEPT = ("cell", *Cell._fields, "fit_loss", "fit_error", "target", "scatter", "params", "tokens")
_LOST = ("failed", "diverged")


class ImportedPlan(NamedTuple):
    """Rows of table ``cells`` of a study, sorted, and what was said of the source."""

    study: str
    source: str
    rows: list[dict[str, Any]]
    notes: str


def imported_plan(study: ImportedStudy, root: Path) -> ImportedPlan:
    """Import the cells and say what each is there for; nothing is written.

    Parameters
    ----------
    study
        The study.
    root
        Folder that ``results`` and the path of the source are below.

    Raises
    ------
    ScalebedError
        If the source is not there or cannot be read, or a selector matches no cell.
    """
    path = root / (study.source.path or _FETCHED)
    if not path.exists():
        fetch = "" if study.source.path else ": the study's first run fetches it"
        raise ScalebedError(f"study {study.name}: source.path {path} is not there{fetch}")
    found = import_any(study.source.importer, path, study.source.options)
    rows = imported_cells(found, study.fit.model_dump(include=set(ROLES)))
    rows.sort(key=lambda row: (row["dataset"], row["params"], row["tokens"], row["cell"]))
    return ImportedPlan(study.name, str(path), rows, found.facts.get("notes", ""))


def render(plan: ImportedPlan, cells: bool = True) -> str:
    """Return the plan as text; without `cells` only the totals."""
    called = naming([_cell(row) for row in plan.rows])
    lines = [_HEADER, *(_columns(row, called) for row in plan.rows)]
    text = [*aligned(lines), ""] if cells else []
    counts = Counter(row["status"] for row in plan.rows)
    states = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    text.append(f"study {plan.study}: {len(plan.rows)} cells ({states}) from {plan.source}")
    fitted, targets = (sum(row[name] for row in plan.rows) for name in ("fit_loss", "target"))
    lost = [row for row in plan.rows if row["fit_loss"] and row["status"] in _LOST]
    without = f" ({len(lost)} of them without a loss)" if lost else ""
    text.append(f"the loss law is fitted to {fitted}{without}, {targets} are predicted")
    return "\n".join(map(in_line, [*text, *([f"note: {plan.notes}"] if plan.notes else [])]))


def record(plan: ImportedPlan) -> dict[str, Any]:
    """Return the plan as built-in values, for ``--json``."""
    cells = [
        {name: row[name] for name in (*_KEPT, "flops")}
        | {"state": row["status"], "reason": row["reason"] or ""}
        for row in plan.rows
    ]
    return {"study": plan.study, "source": plan.source, "cells": cells, "notes": plan.notes}


def _cell(row: dict[str, Any]) -> Cell:
    return Cell(*(row[name] for name in Cell._fields))


def _columns(row: dict[str, Any], called: list[str]) -> tuple[str, ...]:
    return (
        " ".join(f"{'seed ' if name == 'seed' else ''}{row[name]}" for name in called),
        amount_text(row["params"], 4),
        amount_text(row["tokens"], 4),
        f"{row['ratio']:g}",
        f"{row['flops']:.2e}".replace("e+", "e"),
        role_text(row),
        f"{row['status']}: {row['reason']}" if row["reason"] else row["status"],
    )
