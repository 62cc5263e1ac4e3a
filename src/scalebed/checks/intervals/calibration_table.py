"""Table ``calibration``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalebed.checks.intervals.calibrate import COLUMNS
from scalebed.core.files import write_parquet

if TYPE_CHECKING:
    import pyarrow


def calibration_schema() -> pyarrow.Schema:
    """Columns and types of the table."""
    import pyarrow

    return pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in COLUMNS.items()])


def write_calibration(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the rows of `scalebed.checks.intervals.calibrate.calibrate_study` as parquet."""
    import pyarrow

    write_parquet(path, pyarrow.Table.from_pylist(rows, calibration_schema()))
