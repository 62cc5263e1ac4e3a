"""Run one check on a study that was fitted."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from scalebed.predict.open_study import StudyFit, open_study
from scalebed.tables.arrow import write_rows
from scalebed.tables.declared.columns import Table

_LOG = logging.getLogger(__name__)


class Check(Protocol):
    """What module ``check`` in the folder of a check offers; importing it costs nothing.

    Attributes
    ----------
    TABLE
        The table it makes, which has its name.
    THREADS
        How many cores it can use.
    """

    TABLE: Table
    THREADS: int

    def measure(self, study: StudyFit, threads: int) -> list[dict[str, Any]]:
        """Return the rows of the table, the same with any number of threads."""
        ...

    def lines(self, study: StudyFit, rows: list[dict[str, Any]]) -> Iterable[str]:
        """Say in words what the rows hold."""
        ...


def run(check: Check, study: str | Path, out: Path, threads: int) -> None:
    """Measure, log and write one parquet file."""
    opened = open_study(study)
    rows = check.measure(opened, threads)
    for line in check.lines(opened, rows):
        _LOG.info("%s", line)
    write_rows(check.TABLE, rows, out)
