"""Open the tables of a study: its runs, and the settings its laws were fitted with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from scalebed.core.digests import intact
from scalebed.core.errors import ScalebedError
from scalebed.predict.measurements import Row
from scalebed.predict.runs import Runs, collect_runs
from scalebed.predict.settings import Settings, restore_settings
from scalebed.tables.readable import NAMED, require_readable

COLUMNS = {
    "cells": (
        "cell",
        "dataset",
        "recipe",
        "seed",
        "status",
        "fit_loss",
        "fit_error",
        "target",
        "params",
        "tokens",
        "flops",
    ),
    "losses": ("cell", "validation", "loss"),
    "tasks": ("cell", "task", "error", "error_stderr", "items", "in_average"),
}
# Older tables and hand-made ones may lack these. Without `scatter` all cells but the targets
# estimate the scatter; without `epochs` no data is repeated; without `trunk` no cell is a branch.
OPTIONAL = {
    "cells": ("scatter", "epochs", "steps", "trunk", "trunk_steps"),
    "losses": ("loss_sequences_lower", "loss_sequences_upper"),
    "tasks": ("chance_error",),
}


@dataclass(frozen=True)
class StudyFit:
    """What the laws of a study were fitted to, and how.

    Attributes
    ----------
    folder : Path
        ``results/studies/<name>``.
    name : str
    runs : list of Runs
        Finished cells and targets of each data set.
    settings : Settings
    tables : dict
        Rows of ``cells``, ``losses`` and ``tasks``.
    """

    folder: Path
    name: str
    runs: list[Runs]
    settings: Settings
    tables: dict[str, list[Row]]


def open_study(text: str | Path) -> StudyFit:
    """Open a study by its name or its folder; `scalebed.predict.open_database` opens a database.

    Parameters
    ----------
    text : str or Path
        The name of a study in ``results/studies``, or a folder such as ``results/studies/default``.
        Where there are both, the name counts; ``./default`` is the folder.

    Raises
    ------
    ScalebedError
        If there is no such study, or its laws were not fitted yet.
    """
    named = Path("results") / "studies" / str(text)
    is_name = isinstance(text, str) and Path(text).name == text
    folder = named if is_name and named.is_dir() else Path(text)
    folder = folder if folder.is_dir() else named
    if not folder.is_dir():
        raise ScalebedError(
            f"there is no study {str(text)!r}, expected the name of a study in results/studies, "
            "its folder or its study.duckdb"
        )
    return opened(folder, _folder_settings(folder), read_tables(folder / "tables"))


def _folder_settings(folder: Path) -> Settings:
    import pyarrow
    import pyarrow.parquet

    fits = folder / "fits" / "fits.parquet"
    try:
        metadata = pyarrow.parquet.read_schema(intact(fits)).metadata or {}
        return restore_settings(json.loads(metadata[b"params"]))
    except (OSError, pyarrow.ArrowInvalid, KeyError, ValueError) as error:
        raise ScalebedError(
            f"cannot read the fit settings of {fits}: {error}; run the study first"
        ) from error


def opened(folder: Path, settings: Settings, tables: dict[str, list[Row]]) -> StudyFit:
    """Collect the runs of tables that were read."""
    runs = collect_runs(tables, settings.averages)
    return StudyFit(folder, folder.resolve().name, runs, settings, tables)


def read_tables(folder: Path) -> dict[str, list[Row]]:
    """Rows of ``cells``, ``losses`` and ``tasks`` of a tables folder.

    Raises
    ------
    ScalebedError
        If a file is missing or unreadable, or lacks a column.
    """
    from scalebed.tables.arrow import read_parquet

    tables = {}
    for name, columns in COLUMNS.items():
        path = folder / f"{name}.parquet"
        table = read_parquet(path)
        missing = [column for column in columns if column not in table.column_names]
        if missing:
            raise ScalebedError(f"{path} has no column {', '.join(map(repr, missing))}")
        more = [column for column in OPTIONAL[name] if column in table.column_names]
        tables[name] = table.select([*columns, *more]).to_pylist()
        named = [column for column in NAMED[name] if column in table.column_names]
        require_readable(path, name, table.select(named).to_pylist())
    return tables
