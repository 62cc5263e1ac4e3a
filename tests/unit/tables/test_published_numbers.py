"""Printed numbers: files are checked, values round to the printed digits or do not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from scalebed.core.errors import ScalebedError
from scalebed.tables.declared.cells import COMPARISONS
from scalebed.tables.published_numbers import agree, compare, read_published

SHIPPED = sorted((Path(__file__).parents[3] / "config" / "published").glob("*.yaml"))
ENTRY = {
    "item": "Table 1",
    "quantity": "E",
    "printed": "1.51",
    "sql": "SELECT value FROM fit_parameters WHERE parameter = 'E'",
}


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE fit_parameters (parameter VARCHAR, value DOUBLE)")
        connection.execute(
            "INSERT INTO fit_parameters VALUES ('E', 1.5083), ('a', NULL), ('b', 0.00732)"
        )
        yield connection


def _one(database: duckdb.DuckDBPyConnection, **changes: Any) -> dict[str, Any]:
    (row,) = compare(database, [ENTRY | changes])
    return row


def _write(path: Path, value: Any) -> Path:
    path.write_text(yaml.safe_dump(value), encoding="utf-8")
    return path


def test_rows_are_those_of_the_table(database: duckdb.DuckDBPyConnection) -> None:
    row = _one(database)
    assert [*row] == [column.name for column in COMPARISONS.columns]
    assert row["value"] == 1.5083
    assert row["agrees"] is True
    assert row["note"] is None


def test_scale_and_note(database: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT value FROM fit_parameters WHERE parameter = 'b'"
    row = _one(database, sql=sql, printed="0.7", scale=100, note="per cent")
    assert row["value"] == pytest.approx(0.732)
    assert row["agrees"] is True
    assert row["note"] == "per cent"
    assert _one(database, sql=sql, printed="0.7")["agrees"] is False


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT value FROM fit_parameters WHERE parameter = 'none'",
        "SELECT value FROM fit_parameters WHERE parameter = 'a'",
        "SELECT 'nan'::DOUBLE",
    ],
)
def test_unknown_numbers(database: duckdb.DuckDBPyConnection, sql: str) -> None:
    row = _one(database, sql=sql)
    assert row["value"] is None
    assert row["agrees"] is None


@pytest.mark.parametrize(
    ("value", "printed", "digits", "expected"),
    [
        (1.505, "1.51", None, True),
        (1.515, "1.51", None, True),
        (1.5151, "1.51", None, False),
        (1.5049, "1.51", None, False),
        (0.8497, "0.850", None, True),
        (0.8494, "0.850", None, False),
        (2.4141e19, "2.4e19", None, True),
        (2.46e19, "2.4e19", None, False),
        (34.0, "34", None, True),
        (329.7, "300", None, False),
        (329.7, "300", 1, True),
        (235.9, "300", 1, False),
        (-0.12, "-0.1", None, True),
        (0.12, "-0.1", None, False),
    ],
)
def test_agreement(value: float, printed: str, digits: int | None, expected: bool) -> None:
    assert agree(value, printed, digits) is expected


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT value FROM nowhere", "fails: Catalog Error"),
        ("SELEC", "fails: Parser Error"),
        ("SELECT value FROM fit_parameters", "gives 3 rows of 1 columns, expected one number"),
        ("SELECT 1, 2", "gives 1 rows of 2 columns, expected one number"),
        ("SELECT 'text'", "gives 'text', expected a number"),
    ],
)
def test_bad_queries_name_the_entry(
    database: duckdb.DuckDBPyConnection, sql: str, words: str
) -> None:
    with pytest.raises(ScalebedError) as caught:
        _one(database, sql=sql)
    assert str(caught.value).startswith("the query of 'Table 1, E' ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({}, "holds no list"),
        ([], "holds no list"),
        (["x"], "entry 1 is 'x', expected keys item"),
        ([ENTRY | {"skale": 1}], "entry 1 has key 'skale', expected item, quantity"),
        ([ENTRY, ENTRY | {"item": None}], "entry 2 has item None, expected a text"),
        ([ENTRY | {"printed": 1.51}], "entry 1 has printed 1.51, expected a text (in quotes"),
        ([ENTRY | {"printed": "~300"}], "entry 1 has printed '~300', expected a number"),
        ([ENTRY | {"printed": "nan"}], "entry 1 has printed 'nan', expected a number"),
        ([ENTRY | {"sql": " "}], "entry 1 has sql ' ', expected a text"),
        ([ENTRY | {"scale": "100"}], "entry 1 has scale '100', expected a number other than 0"),
        ([ENTRY | {"scale": 0}], "entry 1 has scale 0, expected a number other than 0"),
        ([ENTRY | {"digits": 0}], "entry 1 has digits 0, expected a whole number above 0"),
        ([ENTRY | {"note": 3}], "entry 1 has note 3, expected a text"),
        ([ENTRY, ENTRY], "entry 2 repeats 'Table 1, E'"),
    ],
)
def test_bad_files(tmp_path: Path, entries: Any, words: str) -> None:
    path = _write(tmp_path / "printed.yaml", entries)
    with pytest.raises(ScalebedError) as caught:
        read_published(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ScalebedError, match="cannot read the printed numbers"):
        read_published(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    for text in ("- [", "- 2024-02-30", f"- {'9' * 5000}", "- item: 1\n  item: 2"):
        broken.write_text(text, encoding="utf-8")
        with pytest.raises(ScalebedError, match="is not valid YAML"):
            read_published(broken)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_files_are_sound(path: Path, database: duckdb.DuckDBPyConnection) -> None:
    entries = read_published(path)
    for entry in entries:
        # Parsed, not run: their tables are those of a whole study.
        (statement,) = database.extract_statements(entry["sql"])
        assert statement.type == duckdb.StatementType.SELECT
