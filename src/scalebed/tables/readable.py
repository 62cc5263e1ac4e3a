"""Names in tables of studies: each of them can be read in a line."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.core.shown import unfit

NAMED = {
    "cells": ("dataset", "size", "recipe"),
    "losses": ("validation",),
    "tasks": ("task",),
}
"""Columns of tables that hold names which others gave, and which are printed."""


def require_readable(where: str | Path, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Refuse rows with a name that nobody could read in a line; they need not have all columns.

    Raises
    ------
    ScalebedError
        Naming where they are from, the column, the name and what was expected.
    """
    found = ((row[c], c) for row in rows for c in NAMED[table] if c in row)
    for name, column in dict.fromkeys(found):
        expected = unfit(str(name))
        if expected:
            raise ScalebedError(f"{where}: {table}.{column} is {name!r}, expected {expected}")
