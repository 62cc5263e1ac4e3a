"""Every table of a study's database, in its order.

The DuckDB definitions with their comments and the reference section of ``docs/results.md`` are
made from these declarations.
"""

from importlib import import_module
from typing import cast

from scalebed.study.checks import CHECKS
from scalebed.tables.declared.cells import (
    ARGUMENTS,
    CELLS,
    COMPARISONS,
    CURVES,
    LINTS,
    LOSSES,
    PROVENANCE,
    SEARCH,
    SEARCH_TABLES,
    TASKS,
)
from scalebed.tables.declared.columns import Table
from scalebed.tables.declared.fits import TABLES as FITTED
from scalebed.tables.declared.judged import JUDGED


def check_table(name: str) -> Table:
    """Return the table that the folder of a check declares, looked up by name."""
    return cast(Table, import_module(f"scalebed.checks.{name}.table").TABLE)


FIT_TABLES = tuple(FITTED.values())
CHECK_TABLES = tuple(check_table(name) for name in CHECKS)
TABLES = (
    *(CELLS, CURVES, LOSSES, TASKS, *FIT_TABLES, *CHECK_TABLES, PROVENANCE),
    *(ARGUMENTS, SEARCH, *SEARCH_TABLES, LINTS, COMPARISONS, JUDGED),
)
