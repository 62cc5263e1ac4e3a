"""Read-only access to the database of a study."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from scalebed.core.digests import intact
from scalebed.core.errors import ScalebedError
from scalebed.tables.declared.cells import CELLS
from scalebed.tables.declared.columns import Table
from scalebed.tables.declared.database import TABLES
from scalebed.tables.readable import NAMED, require_readable


class StudyDatabase:
    """An open study; a context manager.

    Parameters
    ----------
    path
        Database written by ``scalebed gather-study``.

    Raises
    ------
    ScalebedError
        If there is no such file, it is not the database of a study, or it has a name in it that
        nobody could read in a line.
    """

    def __init__(self, path: str | Path) -> None:
        # Who reads tables of runs only need not have it.
        import duckdb

        self.path = Path(path)
        if not self.path.is_file():
            raise ScalebedError(f"there is no database {path}; run `scalebed gather-study` first")
        try:
            self._connection = duckdb.connect(str(intact(path)), read_only=True)
            # Threads add up floating-point numbers in whatever order they finish; pages and
            # figures are to be the same on every machine.
            self._connection.execute("SET threads = 1")
            # A view in a file of somebody else could read any other file of this machine.
            self._connection.execute("SET enable_external_access = false")
            tables = {row[0] for row in self._connection.execute("SHOW TABLES").fetchall()}
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise ScalebedError(f"cannot open {path} as a DuckDB database: {reason}") from error
        if missing := [table.name for table in TABLES if table.name not in tables]:
            self.close()
            raise ScalebedError(
                f"{path} is not the database of a study: no table {', '.join(map(repr, missing))}"
            )
        self._add_missing(CELLS)
        for name, columns in NAMED.items():
            known = self._columns(name)
            if named := [column for column in columns if column in known]:
                query = f"SELECT DISTINCT {', '.join(named)} FROM {name}"
                require_readable(path, name, self.rows(query))

    def _columns(self, table: str) -> set[str]:
        return {row["column_name"] for row in self.rows(f"DESCRIBE {table}")}

    def _add_missing(self, table: Table) -> None:
        """Let a table of an older database have the columns that came later, all of them empty."""
        found = self._columns(table.name)
        later = [name for name in table.names if name not in found]
        if later:
            (current,) = self.rows("SELECT current_database() AS name")
            own = '"' + current["name"].replace('"', '""') + '"'
            empty = ", ".join(f"NULL AS {name}" for name in later)
            # Without its catalog the table would be the view itself.
            self._connection.execute(
                f"CREATE TEMP VIEW {table.name} AS SELECT *, {empty} FROM {own}.main.{table.name}"
            )

    def frame(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> pd.DataFrame:
        """Return the rows of an SQL query as a data frame."""
        return self._connection.execute(query, values).df()

    def rows(
        self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[dict[str, Any]]:
        """Return the rows of an SQL query as dictionaries of Python values."""
        result = self._connection.execute(query, values)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def facts(self) -> dict[str, str]:
        """Return the provenance table as a dictionary."""
        return {row["key"]: row["value"] for row in self.rows("SELECT * FROM provenance")}

    @property
    def yardstick(self) -> str:
        """The validation set whose loss the error law takes and the headline is about."""
        return self.facts()["yardstick"]

    @property
    def averages(self) -> list[str]:
        """Names of the further task averages."""
        return list(json.loads(self.facts().get("averages", "[]")))

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def __enter__(self) -> "StudyDatabase":
        """Return the study itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the database."""
        self.close()
