"""The database of a study: content, comments, views, atomicity, and its documentation."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet
import pytest
import study_records as records
from short_files import short_files

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.tables.database import gather_study
from scalebed.tables.declared.database import TABLES
from scalebed.tables.declared.views import VIEWS
from scalebed.tables.reader import StudyDatabase
from scalebed.tables.reference import with_reference

DOCS = Path(__file__).parents[3] / "docs" / "results.md"
QUERIES = re.findall(r"```sql\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder of an ordinary study; tests must leave it as it is."""
    return records.shared_study(tmp_path_factory, "whole").parent


@pytest.fixture
def study(folder):
    with StudyDatabase(folder / "study.duckdb") as study:
        yield study


def content(path):
    """Return every row of every table and view, in stored order."""
    names = [item.name for item in (*TABLES, *VIEWS)]
    with duckdb.connect(str(path), read_only=True) as connection:
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}


def test_everything_has_its_comment(study):
    tables = study.rows("SELECT table_name AS name, comment FROM duckdb_tables()")
    views = study.rows("SELECT view_name AS name, comment FROM duckdb_views() WHERE NOT internal")
    found = {row["name"]: row["comment"] for row in tables + views}
    assert found == {item.name: item.comment for item in (*TABLES, *VIEWS)}
    rows = study.rows(
        "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE NOT internal ORDER BY table_name, column_index"
    )
    columns = {}
    for row in rows:
        columns.setdefault(row["table_name"], []).append((row["column_name"], row["comment"]))
    assert columns == {
        item.name: [(column.name, column.description) for column in item.columns]
        for item in (*TABLES, *VIEWS)
    }


def test_parquet_copies_hold_the_same_rows(folder):
    stored = content(folder / "study.duckdb")
    for table in TABLES:
        copy = pyarrow.parquet.read_table(folder / "parquet" / f"{table.name}.parquet")
        assert [tuple(row.values()) for row in copy.to_pylist()] == stored[table.name]


def test_identical_inputs_give_identical_content(folder, tmp_path):
    cells = records.grid()[::-1]
    records.write_cells(tmp_path / "cells", cells)
    records.build(tmp_path, cells)
    assert content(tmp_path / "study.duckdb") == content(folder / "study.duckdb")


def test_gathering_again_replaces_the_database_and_leaves_nothing_else(folder, tmp_path):
    for name in records.PARTS:
        shutil.copytree(folder / name, tmp_path / name)
    for _ in range(2):
        gather_study(records.gather_params(), records.sources(tmp_path), tmp_path / "s.duckdb")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checks", "fits", "parquet", "s.duckdb", "tables"]


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("fits/draws", lambda path: path.unlink(), "cannot read .*draws.parquet"),
        ("fits/fits", lambda path: path.write_bytes(b"PAR1"), "cannot read .*fits.parquet"),
        ("tables/cells", lambda path: _drop(path, "tokens"), "no column 'tokens'"),
        ("fits/predictions", lambda path: _rename_cells(path), "no cell of this study"),
        ("fits/predictions", lambda path: _replace(path, "predicted", "x"), "has type"),
        ("fits/predictions", lambda path: _replace(path, "predicted", float("nan")), "no finite"),
        ("fits/fits", lambda path: _replace(path, "fit", "same"), "share one key"),
    ],
)
def test_a_broken_table_is_named_and_the_old_database_stays(folder, tmp_path, name, damage, told):
    for part in records.PARTS:
        shutil.copytree(folder / part, tmp_path / part)
    out = tmp_path / "study.duckdb"
    shutil.copy(folder / "study.duckdb", out)
    before = out.read_bytes()
    damage(tmp_path / f"{name}.parquet")
    with pytest.raises(ScalebedError, match=told):
        gather_study(records.gather_params(), records.sources(tmp_path), out)
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checks",
        "fits",
        "study.duckdb",
        "tables",
    ]


def _drop(path, column):
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(path).drop_columns([column]), path)


def _rename_cells(path):
    table = pyarrow.parquet.read_table(path)
    cells = [f"{cell}0" for cell in table.column("cell").to_pylist()]
    pyarrow.parquet.write_table(table.set_column(0, "cell", pyarrow.array(cells)), path)


def _replace(path, column, value):
    table = pyarrow.parquet.read_table(path)
    values = pyarrow.array([value] * table.num_rows)
    index = table.column_names.index(column)
    pyarrow.parquet.write_table(table.set_column(index, column, values), path)


def test_the_yardstick_must_be_named(folder, tmp_path):
    with pytest.raises(ScalebedError, match="no text for key 'loss'"):
        gather_study({"study": "x"}, records.sources(folder), tmp_path / "s.duckdb")


def test_params_and_corpora_become_provenance(folder, tmp_path):
    manifest = tmp_path / "manifest.json"
    facts = {"kind": "corpus", "corpus": "books", "licence": "public domain", "documents": 12}
    manifest.write_text(json.dumps(facts))
    params = records.gather_params() | {"extra": {"b": 1, "a": [2]}}
    out = tmp_path / "s.duckdb"
    gather_study(params, records.sources(folder), out, [manifest])
    with StudyDatabase(out) as study:
        known = study.facts()
    assert known["extra"] == '{"a":[2],"b":1}'
    assert known["yardstick"] == records.YARDSTICK
    assert known["corpus/books/licence"] == "public domain"
    manifest.write_text("{}")
    with pytest.raises(ScalebedError, match="no corpus manifest"):
        gather_study(params, records.sources(folder), out, [manifest])


@pytest.mark.parametrize("most", [60_000, 200_000])
def test_a_disk_that_gets_full_is_told_and_leaves_no_database(folder, tmp_path, most):
    out = tmp_path / "s.duckdb"
    with short_files(most), pytest.raises(ScalebedError, match=r"cannot write .*File too large"):
        gather_study(records.gather_params(), records.sources(folder), out)
    assert [path.name for path in tmp_path.iterdir()] == ["parquet"]


def test_predictions_vs_measured_joins_each_prediction_once(study):
    n = study.rows("SELECT count(*) AS n FROM predictions")[0]["n"]
    rows = study.rows("FROM predictions_vs_measured")
    assert len(rows) == n > 0
    assert rows[0]["role"] == "target"
    for row in rows:
        if row["measured"] is not None:
            assert row["difference"] == pytest.approx(row["predicted"] - row["measured"])
            relative = abs(row["difference"]) / row["measured"]
            assert row["relative_error"] == pytest.approx(relative, abs=1e-12)


def test_cell_status_counts_what_was_recorded(study):
    rows = {row["cell"]: row for row in study.rows("FROM cell_status")}
    assert len(rows) == len(records.grid())
    bad = rows[records.DIVERGED.path]
    assert (bad["role"], bad["losses"], bad["tasks"]) == ("fit", 0, 0)
    assert 0 < bad["last_step"] < bad["steps"]
    assert rows[records.FAILED.path]["last_step"] is None
    target = rows[f"dataset=fiction/size={records.TARGETS[1][0]}/ratio=320/recipe=base/seed=0"]
    assert target["role"] == "target"
    assert target["repeats_tokens"] == (target["epochs"] > 1) is True


def test_frontier_is_the_running_minimum(study):
    rows = study.rows(
        "SELECT dataset, validation, flops, loss, cell FROM cells JOIN losses USING (cell)"
    )
    expected = set()
    for key in {(row["dataset"], row["validation"]) for row in rows}:
        best = float("inf")
        own = [row for row in rows if (row["dataset"], row["validation"]) == key]
        for row in sorted(own, key=lambda row: row["flops"]):
            if row["loss"] < best:
                best = row["loss"]
                expected.add((row["cell"], row["validation"]))
    found = {(row["cell"], row["validation"]) for row in study.rows("FROM frontier")}
    assert found == expected
    assert 0 < len(found) < len(rows)


def test_readers_share_the_file_and_cannot_write(folder):
    path = folder / "study.duckdb"
    with StudyDatabase(path) as one, StudyDatabase(path) as other:
        assert one.facts() == other.facts()
        with pytest.raises(duckdb.Error, match="read-only"):
            one.rows("DELETE FROM cells")


def test_a_file_that_is_no_study_is_refused(tmp_path):
    with pytest.raises(ScalebedError, match="no database"):
        StudyDatabase(tmp_path / "none.duckdb")
    (tmp_path / "text.duckdb").write_text("not a database at all, but long enough to be read" * 99)
    with pytest.raises(ScalebedError, match="cannot open"):
        StudyDatabase(tmp_path / "text.duckdb")
    duckdb.connect(str(tmp_path / "empty.duckdb")).close()
    with pytest.raises(ScalebedError, match="no table 'cells'"):
        StudyDatabase(tmp_path / "empty.duckdb")


def test_the_documentation_holds_the_reference_of_the_schema():
    text = DOCS.read_text(encoding="utf-8")
    assert with_reference(text) == text, "run: python -m scalebed.tables.reference docs/results.md"


def test_the_documentation_has_queries():
    assert len(QUERIES) >= 6


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_documented_queries_run(study, query):
    rows = study.rows(query)
    # The invented study follows its law closely: there is no exception to find.
    assert bool(rows) != ("smaller_model" in query)


def test_verbs_gather_a_study(folder, tmp_path):
    cells = records.grid()
    params = json.dumps(records.tabulate_params(cells))
    tables, out = str(tmp_path / "tables"), str(tmp_path / "study.duckdb")
    words = ["--params", params, "--cells", str(folder / "cells"), "--out", tables]
    assert main(["tabulate-cells", *words]) == 0
    params = json.dumps(records.gather_params())
    words = ["--params", params, "--tables", tables, "--fits", str(folder / "fits")]
    words += ["--checks", str(folder / "checks"), "--out", out]
    assert main(["gather-study", *words]) == 0
    assert content(out) == content(folder / "study.duckdb")


def test_a_verb_tells_the_error_and_exits_2(tmp_path, capsys):
    params = json.dumps(records.tabulate_params(records.grid()))
    words = ["--params", params, "--cells", str(tmp_path), "--out", str(tmp_path / "tables")]
    assert main(["tabulate-cells", *words]) == 2
    told = capsys.readouterr().err
    assert told.startswith("scalebed tabulate-cells: error: cannot read")
    assert told.count("\n") == 1


def test_the_notebook_runs_as_a_script_and_leaves_the_database_as_it_is(folder):
    pytest.importorskip("marimo", reason="needs the extra scalebed[notebook]")
    path = folder / "study.duckdb"
    before = path.stat().st_mtime_ns
    script = Path(__file__).parents[3] / "notebooks" / "study.py"
    for database, said in ((path, ""), (folder / "none", "there is no database")):
        command = [sys.executable, str(script), "--database", str(database)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert (done.returncode == 0, said in done.stderr) == (not said, True), done.stderr
    assert path.stat().st_mtime_ns == before
