"""Compute one exploration of a study that was gathered."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from scalebed.checks.explore.options import complete
from scalebed.tables.arrow import write_rows
from scalebed.tables.declared.columns import Table
from scalebed.tables.reader import StudyDatabase


class Exploration(Protocol):
    """What the module of an exploration offers.

    Attributes
    ----------
    TABLE
        The table it makes, which has its name.
    """

    TABLE: Table

    def rows(self, study: StudyDatabase, options: dict[str, Any]) -> Iterable[dict[str, Any]]:
        """Return the rows of the table; there are none where a study has nothing to explore."""
        ...


def run(exploration: Exploration, params: Mapping[str, Any], database: Path, out: Path) -> None:
    """Compute and write one parquet file."""
    options = complete(exploration.TABLE.name, params)
    with StudyDatabase(database) as study:
        write_rows(exploration.TABLE, exploration.rows(study, options), out)
