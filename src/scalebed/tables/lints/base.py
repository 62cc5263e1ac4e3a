"""What the checks share."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

Tables = Mapping[str, pd.DataFrame]
Row = dict[str, Any]

WARNING = "warning"
NOTE = "note"
# Nominal coordinates of a cell besides the one that is varied.
COORDINATES = ("dataset", "size", "ratio", "recipe", "seed")


def finding(check_name: str, severity: str, cell: str | None, subject: str, message: str) -> Row:
    """Return one row of the table ``lints``."""
    return {
        "check_name": check_name,
        "severity": severity,
        "cell": cell,
        "subject": subject,
        "message": message,
    }


def done_cells(tables: Tables) -> pd.DataFrame:
    """Return the cells that were trained to the end."""
    cells = tables["cells"]
    return cells[cells["status"] == "done"]


def records(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a frame as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def as_number(text: Any) -> float | None:
    """Return a value given as text as a number, or None if it is none."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def some(names: list[str], most: int = 3) -> str:
    """Return the first names of a list and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it must be."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
