"""Tables and fits of a study → one DuckDB file with comments and views, and parquet beside it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow
import pyarrow.parquet

import scalebed
from scalebed.core.digests import intact
from scalebed.core.errors import ScalebedError
from scalebed.core.files import atomic_path, read_json, write_parquet
from scalebed.core.provenance import canonical_json
from scalebed.tables.arrow import arrow_schema, from_rows, read_table
from scalebed.tables.declared.cells import (
    ARGUMENTS,
    CELL_TABLES,
    CELLS,
    COMPARISONS,
    LINTS,
    LOSSES,
    PROVENANCE,
    SEARCH,
    SEARCH_TABLES,
    TASKS,
)
from scalebed.tables.declared.columns import Column, Table
from scalebed.tables.declared.database import CHECK_TABLES, FIT_TABLES, TABLES
from scalebed.tables.declared.judged import JUDGED
from scalebed.tables.declared.views import VIEWS
from scalebed.tables.lints import lint
from scalebed.tables.published_numbers import compare, read_published

_REQUIRED = ("study", "loss")
# The last is what a commit says that does not find room on the disk.
_OF_THE_MACHINE = (
    *(duckdb.IOException, duckdb.FatalException, duckdb.OutOfMemoryException),
    duckdb.TransactionException,
)


class Sources(NamedTuple):
    """Folders of the files of cells, fits, checks and a search; file of judged predictions."""

    tables: Path
    fits: Path
    checks: Path
    search: Path | None = None
    judged: Path | None = None


def gather_study(
    params: Mapping[str, Any],
    sources: Sources,
    out: Path,
    manifests: Sequence[Path] = (),
    published: Path | None = None,
) -> None:
    """Write the database of a study, and its tables as parquet in ``parquet/`` beside it.

    The content follows from the inputs alone. The file is built under another name and renamed,
    so that readers see the old study or the new one.

    Parameters
    ----------
    params
        ``{"study", "loss": validation set the error law takes, "title", "checks": tables of the
        checks that were made, …}``; everything in it becomes a row of the provenance table,
        ``loss`` under the name ``yardstick``. With ``"kind": "search"`` there are no fits, and the
        search has tables of its own.
    sources
        Where the tables are.
    out
        Database to write.
    manifests
        Manifests of corpora whose licence and size the study should state.
    published
        File of printed numbers to compare with.

    Raises
    ------
    ScalebedError
        If a table is missing or does not hold what the schema declares, or `out` cannot be
        written.
    """
    for key in _REQUIRED:
        if not isinstance(params.get(key), str):
            raise ScalebedError(f"--params of gather-study has no text for key {key!r}")
    asked = params.get("checks", ())
    checks = tuple(table for table in CHECK_TABLES if table.name in asked)
    searches = params.get("kind") == "search"
    groups = (CELL_TABLES, () if searches else FIT_TABLES, checks)
    data = {
        table: read_table(table, folder / f"{table.name}.parquet")
        for folder, group in zip(sources[:3], groups, strict=True)
        for table in group
    }
    if searches:
        data |= _search(sources.search)
    # What was not asked for is empty, whatever an earlier run of the study left behind.
    data |= {
        table: arrow_schema(table).empty_table()
        for table in (*FIT_TABLES, *CHECK_TABLES, *SEARCH_TABLES)
        if table not in data
    }
    facts = params if searches else {**params, **_fit_settings(sources.fits)}
    data[JUDGED], seal = _judged(sources.judged)
    data[PROVENANCE] = _provenance(data[PROVENANCE], {**facts, **seal}, manifests)
    _check_cells(data)
    data[LINTS] = _lints(data, params["loss"])
    data[COMPARISONS] = _comparisons(data, published)
    for table in TABLES:
        write_parquet(out.parent / "parquet" / f"{table.name}.parquet", data[table])
    with atomic_path(out) as temporary:
        # DuckDB takes an absent file as a new database, but not an empty one.
        temporary.unlink()
        try:
            _write(temporary, data)
        except _OF_THE_MACHINE as error:
            raise ScalebedError(f"cannot write {out}: {error}") from error
        finally:
            # What DuckDB writes beside a database it could not finish.
            temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)


def _search(folder: Path | None) -> dict[Table, pyarrow.Table]:
    """Return the tables that ``choose-ladder`` wrote."""
    if folder is None:
        raise ScalebedError("gather-study of a search needs --search, the folder of its tables")
    found = {SEARCH: read_table(SEARCH, folder / "runs.parquet")}
    return found | {
        table: read_table(table, folder / f"{table.name}.parquet") for table in SEARCH_TABLES
    }


def _check_cells(data: Mapping[Table, pyarrow.Table]) -> None:
    """Refuse rows of cells the study does not list: a fit of another study would be a lie."""
    known: set[str] | None = None
    for table in (*CELL_TABLES, *FIT_TABLES):
        if "cell" in table.names:
            # A configuration of a published search is no cell.
            found = set(data[table].column("cell").unique().to_pylist()) - {None}
            known = found if known is None else known
            if strangers := sorted(found - known):
                raise ScalebedError(
                    f"table {table.name!r} has rows of {strangers[0]}, "
                    "which is no cell of this study; run the fit again"
                )


def _lints(data: Mapping[Table, pyarrow.Table], yardstick: str) -> pyarrow.Table:
    frames = {table.name: data[table].to_pandas() for table in (CELLS, LOSSES, TASKS, ARGUMENTS)}
    return from_rows(LINTS, lint(frames, yardstick), "lints")


def _comparisons(data: Mapping[Table, pyarrow.Table], published: Path | None) -> pyarrow.Table:
    if published is None:
        return arrow_schema(COMPARISONS).empty_table()
    entries = read_published(published)
    with duckdb.connect() as connection:
        for table, rows in data.items():
            connection.register(table.name, rows)
        return from_rows(COMPARISONS, compare(connection, entries), str(published))


def _provenance(
    gathered: pyarrow.Table, params: Mapping[str, Any], manifests: Sequence[Path]
) -> pyarrow.Table:
    facts: dict[str, Any] = {row["key"]: row["value"] for row in gathered.to_pylist()}
    facts["scalebed_gathered_with"] = scalebed.__version__
    for key, value in params.items():
        key = "yardstick" if key == "loss" else key
        facts[key] = value if isinstance(value, str) else canonical_json(value)
    for path in manifests:
        facts.update(_corpus(path))
    rows = ({"key": key, "value": value} for key, value in facts.items())
    return from_rows(PROVENANCE, rows, "provenance")


def _fit_settings(fits: Path) -> dict[str, str]:
    """Return the settings of the fits: the laws can be drawn again from the database alone."""
    metadata = pyarrow.parquet.read_schema(intact(fits / "fits.parquet")).metadata or {}
    return {"fit_settings": metadata[b"params"].decode()} if b"params" in metadata else {}


def _judged(path: Path | None) -> tuple[pyarrow.Table, dict[str, str]]:
    """Return the judged predictions and the facts of their seal; nothing where none was asked."""
    if path is None:
        return arrow_schema(JUDGED).empty_table(), {}
    return read_table(JUDGED, path), {"seal": _metadata(path, b"seal")}


def _metadata(path: Path, key: bytes) -> str:
    metadata = pyarrow.parquet.read_schema(intact(path)).metadata or {}
    if key not in metadata:
        raise ScalebedError(f"{path} does not say which {key.decode()} it is of; run it again")
    return str(metadata[key].decode())


def _corpus(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the facts of one corpus that a reader of the report must know."""
    manifest = read_json(path)
    if not isinstance(manifest, dict) or "corpus" not in manifest:
        raise ScalebedError(f"{path} is no corpus manifest: it has no key 'corpus'")
    for key in ("licence", "credit", "documents", "bytes"):
        if manifest.get(key) is not None:
            yield f"corpus/{manifest['corpus']}/{key}", str(manifest[key])


def _write(path: Path, data: Mapping[Table, pyarrow.Table]) -> None:
    # One thread keeps the physical order of rows, hence what `SELECT *` shows, reproducible.
    with duckdb.connect(str(path), config={"threads": 1}) as connection:
        connection.execute("BEGIN")
        for table in TABLES:
            connection.execute(create_sql(table))
            connection.register("incoming", data[table])
            connection.execute(f"INSERT INTO {table.name} SELECT * FROM incoming")
            connection.unregister("incoming")
            _comment(connection, "TABLE", table.name, table.comment, table.columns)
        for view in VIEWS:
            connection.execute(f"CREATE VIEW {view.name} AS {view.query}")
            _comment(connection, "VIEW", view.name, view.comment, view.columns)
        connection.execute("COMMIT")
        connection.execute("CHECKPOINT")


def create_sql(table: Table) -> str:
    """Return the statement that creates `table`."""
    columns = ", ".join(
        f'"{column.name}" {column.sql_type}{"" if column.nullable else " NOT NULL"}'
        for column in table.columns
    )
    return f"CREATE TABLE {table.name} ({columns})"


def _comment(
    connection: duckdb.DuckDBPyConnection,
    kind: str,
    name: str,
    comment: str,
    columns: Iterable[Column],
) -> None:
    connection.execute(f"COMMENT ON {kind} {name} IS {_quote(comment)}")
    for column in columns:
        text = _quote(column.description)
        connection.execute(f'COMMENT ON COLUMN {name}."{column.name}" IS {text}')


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
