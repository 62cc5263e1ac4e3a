"""A table that a verb writes on request, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalebed.tables.declared.columns import Table


def write_told(table: Table, rows: Iterable[Mapping[str, Any]], path: Path) -> str:
    """Write rows as a table; return the line on its file, and on what was there before."""
    from scalebed.tables.arrow import write_rows

    before = path.exists()
    write_rows(table, rows, path)
    return written(path, before)


def written(path: Path, before: bool) -> str:
    """Return the line on a file; `before` tells whether there was one of that name."""
    return f"written: {path}{', in place of the file that was there' if before else ''}"
