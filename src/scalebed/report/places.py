"""From the name of a cell to its row on the page, and from there to its files and its log."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scalebed.tables.reader import StudyDatabase

_NAMES = """
SELECT cell, any_value(value) AS name FROM arguments
WHERE lower(key) IN ('name', 'run', 'run_name') GROUP BY cell
"""
_LOGS = ("train_cell", "convert_checkpoint")


def anchors(cells: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return the anchor of each cell by its name."""
    return {cell["cell"]: f"cell-{number}" for number, cell in enumerate(cells, 1)}


def run_names(study: StudyDatabase) -> dict[str, str]:
    """Return what imported runs are called, by their cells."""
    return {row["cell"]: row["name"] for row in study.rows(_NAMES)}


def places(
    cells: Iterable[dict[str, Any]], database: Path, page: Path
) -> dict[str, list[tuple[str, str]]]:
    """Return what there is of each cell to open, by its name: words and address.

    Parameters
    ----------
    cells
    database
        ``results/studies/<study>/study.duckdb``; a database that lies elsewhere has no cells
        beside it, and an address that leads nowhere helps nobody.
    page
        The page the addresses are relative to.
    """
    parents = database.resolve().parents
    results = parents[min(2, len(parents) - 1)]
    logs, folder = results.parent / "logs", page.resolve().parent
    found: dict[str, list[tuple[str, str]]] = {}
    for cell in cells:
        name = cell["cell"]
        files = [("record", results / "cells" / name / "metrics.json")]
        files += [("log", logs / rule / f"{name}.log") for rule in _LOGS]
        found[name] = [
            (word, quote(Path(os.path.relpath(file, folder)).as_posix(), safe="/="))
            for word, file in files
            if file.exists()
        ]
    return found
