"""Verbs compare and contrast, and the figure of the tournament."""

import contextlib
import io
import json
import shutil

import duckdb
import pyarrow
import pytest
import study_records as records
import synthetic_study as synthetic

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.core.files import write_parquet
from scalebed.predict.study import fit_files
from scalebed.report.figures import tournament
from scalebed.report.figures.style import Style
from scalebed.tables.arrow import read_table
from scalebed.tables.declared.database import check_table
from scalebed.tables.reader import StudyDatabase


def write_study(folder, **changes):
    """Tables and fits of the invented study in a folder."""
    tables = synthetic.tables(sigma=0.005)
    for row in tables["tasks"]:
        row["chance_error"] = 0.9
    for cell in tables["cells"]:
        if changes.get("fit_only") and not cell["fit_loss"]:
            cell["status"], cell["target"], cell["fit_error"] = "failed", False, False
    for name, rows in tables.items():
        write_parquet(folder / "tables" / f"{name}.parquet", pyarrow.Table.from_pylist(rows))
    fit_files(folder / "tables", folder / "fits", synthetic.params(per_task=False))
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("invented"))


@pytest.fixture(scope="module")
def played(study, tmp_path_factory):
    """Where `compare` wrote its tables, and what it said."""
    out = tmp_path_factory.mktemp("checks")
    words = ["--law", "compute", "--law", "linear", "--draws", "300", "--workers", "1"]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(["compare", str(study), *words, "--for", "design", "--out", str(out)]) == 0
    return out, said.getvalue()


@pytest.fixture(scope="module")
def compared(played):
    return played[0]


def test_compare_prints_tables_verdicts_and_classes(played):
    out, said = played
    assert "yardstick: mean absolute error of the loss, %" in said
    assert "each task of average: mean absolute error of the error, points" in said
    assert "yardstick (loss), design, targets: believe " in said
    assert "2 tasks over all: 2 predictable" in said
    assert str(out) in said


def test_compare_writes_nothing_unless_told_where(study, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--kind", "error", "--law", "linear", "--draws", "300", "--workers", "1"]
    assert main(["compare", str(study), *words]) == 0
    said = capsys.readouterr().out
    assert "yardstick (loss)" not in said and "average (error), " in said
    assert "2 tasks over all: 2 predictable" in said
    assert "written" not in said
    assert not list(tmp_path.iterdir())


def test_compare_writes_what_the_database_takes(compared):
    rows = read_table(check_table("tournament"), compared / "tournament.parquet").to_pylist()
    assert {row["law"] for row in rows if row["kind"] == "loss"} == {"tied", "compute"}
    tasks = read_table(check_table("reliability"), compared / "reliability.parquet").to_pylist()
    assert {(row["task"], row["dataset"]) for row in tasks} == {
        (task, dataset) for task in synthetic.TASKS for dataset in ("all", *synthetic.TRUTH)
    }
    assert {row["error_law"] for row in tasks} <= {"decay", "linear"}


def test_one_table_alone(study, tmp_path, capsys):
    assert main(["compare", str(study), "--only", "reliability", "--out", str(tmp_path)]) == 0
    assert "believe" not in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["reliability.parquet"]
    words = ["--law", "compute", "--draws", "300", "--kind", "loss", "--only", "tournament"]
    out = ["--workers", "1", "--out", str(tmp_path / "t")]
    assert main(["compare", str(study), *words, *out]) == 0
    assert [path.name for path in (tmp_path / "t").iterdir()] == ["tournament.parquet"]


def test_a_study_that_allows_no_comparison_gives_empty_tables(tmp_path, capsys):
    folder = write_study(tmp_path / "small", fit_only=True)
    assert main(["compare", str(folder), "--out", str(tmp_path)]) == 0
    assert "nothing to compare" in capsys.readouterr().out
    assert read_table(check_table("tournament"), tmp_path / "tournament.parquet").num_rows == 0
    assert read_table(check_table("reliability"), tmp_path / "reliability.parquet").num_rows > 0
    assert main(["contrast", str(folder), "--out", str(tmp_path)]) == 0
    assert "no pair of data sets to compare" in capsys.readouterr().out
    assert read_table(check_table("contrasts"), tmp_path / "contrasts.parquet").num_rows == 0
    assert main(["contrast", str(folder), "one", "two"]) == 2
    assert "has no target: add --target" in capsys.readouterr().err


def test_contrast_prints_and_writes(study, tmp_path, capsys):
    words = ["one", "two", "--target", "params=1e7,tokens=1e9", "--response", "yardstick"]
    assert main(["contrast", str(study), *words, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("At N 1e+07, D 1e+09 the loss on yardstick is ")
    assert "note: one, tied: numbers: doubtful" in said
    (row,) = read_table(check_table("contrasts"), tmp_path / "contrasts.parquet").to_pylist()
    assert row["sentence"] in said
    assert main(["contrast", str(study)]) == 0
    assert capsys.readouterr().out.count("the error on average") == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["contrast", "one"], "1 data sets are named, expected two or none"),
        (["contrast", "one", "two", "--target", "params=1e9"], "tokens is missing"),
        (["contrast", "one", "two", "--target", "params=x,tokens=1e9"], "params is 'x'"),
        (["contrast", "--target", "params=1,params=2"], "params is given twice"),
        (["compare", "--draws", "5"], "--draws is 5, expected 100 .. 1000000"),
        (["compare", "--workers", "0"], "--workers is 0, expected 1 .. 256"),
        (["compare", "--law", "newton"], "law 'newton' is unknown"),
        (["compare", "--loss", "moon"], "'moon' was measured nowhere"),
    ],
)
def test_bad_arguments_are_named(study, capsys, words, message):
    assert main([words[0], str(study), *words[1:]]) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_study_is_named(capsys):
    assert main(["compare", "nowhere/at/all"]) == 2
    assert "there is no study 'nowhere/at/all'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def database(compared, tmp_path_factory):
    """The database of another study with this tournament in it, its loss under that name."""
    folder = tmp_path_factory.mktemp("drawn")
    path = folder / "study.duckdb"
    shutil.copy(records.shared_study(tmp_path_factory, "whole"), path)
    with StudyDatabase(path) as opened:
        yardstick = opened.yardstick
    with duckdb.connect(str(path)) as connection:
        source = str(compared / "tournament.parquet")
        connection.execute(
            "CREATE OR REPLACE TABLE tournament AS SELECT * REPLACE (CASE response "
            "WHEN 'yardstick' THEN $own ELSE response END AS response) FROM read_parquet($source)",
            {"own": yardstick, "source": source},
        )
    return path


def drawn(path, **options):
    with StudyDatabase(path) as opened:
        return tournament.chart(opened, Style(options=options)).to_dict()


def test_the_figure_has_a_panel_a_split(database, compared):
    rows = read_table(check_table("tournament"), compared / "tournament.parquet").to_pylist()
    for kind, count in (("loss", 6), ("error", 5)):
        spec = drawn(database, kind=kind)
        names = {row["split"] for row in rows if row["kind"] == kind}
        single = [name for name in names if not name.startswith("mean")]
        assert len(spec["concat"]) == len(single)
        assert sorted(panel["title"]["text"] for panel in spec["concat"]) == sorted(single)
        first = spec["concat"][0]
        assert len(spec["datasets"][first["data"]["name"]]) == count - (kind == "error") * 2
    spec = drawn(database, splits="design; N<=800k")
    assert [panel["title"]["text"] for panel in spec["concat"]] == ["design", "N<=800k"]


def test_the_figure_says_what_it_cannot_draw(database):
    with pytest.raises(ScalebedError, match="no split is called 'moon'"):
        drawn(database, splits="moon")
    with pytest.raises(ScalebedError, match="kind is 'mood'"):
        drawn(database, kind="mood")
    assert "No tournament of nothing" in json.dumps(drawn(database, response="nothing"))
