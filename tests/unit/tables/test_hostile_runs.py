"""Hostile names in tables of runs: carried through as they are, or refused in one sentence."""

import csv

import duckdb
import hostile_texts
import pandas as pd
import pytest
import study_records as records

from scalebed.core.errors import ScalebedError
from scalebed.predict.open_study import read_tables
from scalebed.tables.arrow import write_rows
from scalebed.tables.declared.cells import CELLS
from scalebed.tables.reader import StudyDatabase
from scalebed.tables.runs_file import read_runs

HEAD = ["dataset", "run", "seed", "trunk", "note", "params", "tokens", "loss"]


def rows(names):
    texts = [f"{name}\r\n{text}" for name, text in zip(names, names[::-1], strict=True)]
    return [
        [name, name, name, name, texts[i], 10**7 + i, 10**9, 3.0] for i, name in enumerate(names)
    ]


def written(path, head, found):
    if path.suffix == ".parquet":
        pd.DataFrame(found, columns=head).to_parquet(path)
        return path
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *found])
    return path


@pytest.mark.parametrize("name", ["runs.csv", "runs.parquet"])
def test_names_and_texts_are_read_as_they_are(tmp_path, name):
    names = list(hostile_texts.NAMES)
    head = [*HEAD, hostile_texts.ALL]
    path = written(tmp_path / name, head, [[*row, row[0]] for row in rows(names)])
    table = read_runs(path)
    for column in (table.dataset, table.run, table.seed, table.trunk):
        assert column.tolist() == names
    assert len(set(table.sets.tolist())) == len(names)
    assert table.given["note"].to_pylist() == [row[4] for row in rows(names)]
    assert table.given[hostile_texts.ALL].to_pylist() == names


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("column", ["dataset", "run", "seed", "status", "the column"])
def test_a_name_that_nobody_can_read_in_a_line_is_refused_in_one_sentence(tmp_path, suffix, column):
    for name in hostile_texts.UNFIT:
        head, found = list(HEAD), [["web", "r1", "1", "t", "", 10**7, 10**9, 3.0]]
        if column == "the column":
            head[4] = name
        else:
            head[4] = "status"
            found[0][head.index(column)] = name
        path = written(tmp_path / f"runs{suffix}", head, found)
        if column == "the column" and name in ("a\nb: 12", "a\rb", "a\tb"):
            # A spreadsheet breaks lines of a header.
            assert " ".join(name.split()) in read_runs(path).ignored
            continue
        with pytest.raises(ScalebedError) as caught:
            read_runs(path)
        said = str(caught.value)
        where = "a column called '" if column == "the column" else f"row 1: {column} is '"
        assert where in said
        assert "expected a name" in said
        assert said.isprintable()
        assert len(said) < len(str(path)) + 350


def test_a_name_of_ten_megabytes_is_refused_in_a_short_sentence(tmp_path):
    name = "y" * 10_000_000
    head, (row, *_) = list(HEAD), rows(["web"])
    path = written(tmp_path / "runs.parquet", head, [[row[0], name, *row[2:]]])
    with pytest.raises(ScalebedError, match=r"row 1: run is 'y+… \(10,000,000 characters\)'"):
        read_runs(path)
    path = written(tmp_path / "runs.parquet", [*head[:4], name, *head[5:]], [row])
    with pytest.raises(ScalebedError, match=r"a column called 'y+… \(10,000,000 characters\)'"):
        read_runs(path)


@pytest.mark.parametrize("at", [0, 1])
def test_a_row_of_ten_megabytes_is_refused_by_what_is_wrong_with_it(tmp_path, at):
    lines = ["params,tokens,loss,note", "1e7,1e9,3,short"]
    lines[at] += "y" * 10_000_000
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ScalebedError, match="one of its rows has more than a million characters"):
        read_runs(path)


def test_notes_of_several_lines_may_fill_a_long_table(tmp_path):
    notes = [f'note {i}\nwith "quotes",\nand lines {"x" * (i % 60)}' for i in range(20_000)]
    found = [[10**7 + i, 10**9, 3.0, note] for i, note in enumerate(notes)]
    path = written(tmp_path / "runs.csv", ["params", "tokens", "loss", "note"], found)
    assert path.stat().st_size > 1 << 20
    assert read_runs(path).given["note"].to_pylist() == notes


@pytest.mark.parametrize("name", ["a\nb", "a\x1bb"])
def test_a_study_of_others_with_such_a_name_is_refused(tmp_path, tmp_path_factory, name):
    study = records.shared_study(tmp_path_factory, "a data set failed")
    path = tmp_path / "study.duckdb"
    path.write_bytes(study.read_bytes())
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE tasks SET task = ? WHERE task = 'rhyme'", [name])
        cells = connection.sql("SELECT * FROM cells").to_arrow_table().to_pylist()
    with pytest.raises(ScalebedError, match=r"study.duckdb: tasks.task is 'a\\.*, expected a name"):
        StudyDatabase(path)
    cells[3]["dataset"] = name
    write_rows(CELLS, cells, tmp_path / "cells.parquet")
    with pytest.raises(ScalebedError, match=r"cells.parquet: cells.dataset is 'a\\.*, expected"):
        read_tables(tmp_path)
