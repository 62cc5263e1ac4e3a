"""`scalebed calibrate`: coverage, width and score of every method on a study."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import synthetic_study as synthetic

from scalebed.checks.calibration.calibrate import SCHEMES, calibrate_study, left_out, winkler
from scalebed.checks.calibration.table import TABLE
from scalebed.checks.calibration.text import remarks
from scalebed.checks.intervals import NAMES
from scalebed.commands.cli import main
from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import collect_runs


def study(datasets=("one", "three", "two"), **changes):
    tables = synthetic.tables(datasets=datasets, **changes)
    settings = synthetic.settings(draws=300)
    return StudyFit(Path("nowhere"), "made", collect_runs(tables), settings, tables)


@pytest.fixture(scope="module")
def rows():
    return calibrate_study(study(sigma=0.01), simulations=40, draws=200)


def pick(rows, **wanted):
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def test_winkler_score_by_hand():
    low, high = np.array([1.0, 1.0, 1.0]), np.array([2.0, 2.0, 2.0])
    score = winkler(low, high, np.array([1.5, 0.9, 2.2]), 0.9)
    np.testing.assert_allclose(score, [1.0, 3.0, 5.0])


def test_rows_have_every_scheme_response_and_method(rows):
    assert all(set(row) == set(TABLE.names) for row in rows)
    assert {row["scheme"] for row in rows} == set(SCHEMES)
    assert {row["response"] for row in rows} == {"yardstick", "average"}
    assert {row["dataset"] for row in rows} == {"one", "two", "three", "all"}
    # Nothing is known of the sampling errors of these losses.
    assert {row["method"] for row in rows} == set(NAMES) - {"evaluation", "cluster"}
    for row in pick(rows, dataset="all"):
        several = [r for r in rows if r["dataset"] != "all"]
        same = pick(several, **{key: row[key] for key in ("scheme", "response", "method")})
        assert sum(r["cells"] for r in same) == row["cells"]
        assert sum(r["covered"] for r in same) == row["covered"]
        assert row["coverage"] == row["covered"] / row["cells"]


def test_one_default_a_response(rows):
    for scheme in SCHEMES:
        for response in ("yardstick", "average"):
            own = pick(rows, scheme=scheme, response=response, dataset="all", chosen=True)
            assert [row["method"] for row in own] == ["parametric"]


def test_the_default_covers_in_simulation(rows):
    for response in ("yardstick", "average"):
        (row,) = pick(
            rows, scheme="simulation", response=response, dataset="all", method="parametric"
        )
        assert row["coverage_error"] < 0.02
        assert abs(row["coverage"] - 0.9) < 0.03 + 2 * row["coverage_error"]


def test_residual_bootstrap_of_five_cells_is_refused_and_fails(rows):
    (row,) = pick(rows, scheme="simulation", response="yardstick", dataset="all", method="residual")
    assert row["status"].startswith("not valid")
    assert row["coverage"] + 2 * row["coverage_error"] < 0.85


def test_the_largest_size_is_left_out_and_no_target_is_seen():
    runs = study().runs[0]
    rest = left_out(runs)
    assert set(rest.params[rest.fit_loss]) == set(synthetic.SIZES[:-1])
    assert set(rest.params[rest.target]) == {synthetic.SIZES[-1]}
    big = runs.params == synthetic.BIG
    assert not (rest.fit_loss | rest.fit_error | rest.target | rest.scatter)[big].any()
    one = replace(runs, scatter=runs.params == synthetic.SIZES[0], fit_loss=0 * big > 0)
    assert left_out(one) is None


def test_measurements_of_the_targets_change_no_interval_of_another_data_set():
    first = study()
    moved = study()
    for runs in moved.runs:
        runs.losses["yardstick"][runs.target] *= 1.5
    one, two = (calibrate_study(s, simulations=0) for s in (first, moved))
    for row, other in zip(one, two, strict=True):
        if row["scheme"] == "other data sets" and row["kind"] == "loss":
            assert other["covered"] <= row["covered"]
            # Widths are relative to the measured loss, which is larger now for two of eleven runs.
            assert other["width_mean"] <= row["width_mean"]


def test_same_seed_same_rows(rows):
    one, two = (calibrate_study(study(sigma=0.01), simulations=2, draws=200) for _ in range(2))
    assert one == two
    # What is not simulated does not depend on how many studies are.
    measured = [[row for row in found if row["scheme"] != "simulation"] for found in (one, rows)]
    assert measured[0] == measured[1]
    other = calibrate_study(study(sigma=0.01), simulations=2, draws=200, seed=1)
    assert pick(other, scheme="simulation") != pick(one, scheme="simulation")


def test_small_studies_are_said_to_be_small():
    small = study(datasets=("one",))
    rows = calibrate_study(small, simulations=2)
    assert "all" not in {row["dataset"] for row in rows}
    said = " ".join(remarks(rows))
    assert "other data sets: 13 cells are too few to judge an interval by" in said
    assert remarks([]) == [
        f"{scheme}: nothing to measure, no cell is left to predict" for scheme in SCHEMES
    ]


def test_a_lone_data_set_may_be_called_all_and_counts_once():
    """As that of a table without such a column is."""
    one = study(datasets=("one",))
    tables = {
        name: [
            row
            | ({"dataset": "all"} if "dataset" in row else {})
            | {"cell": row["cell"].replace("=one", "=all")}
            for row in rows
        ]
        for name, rows in one.tables.items()
    }
    renamed = replace(one, runs=collect_runs(tables), tables=tables)
    named, lone = (calibrate_study(found, simulations=1, draws=200) for found in (one, renamed))
    keys = ("scheme", "response", "method", "cells", "status")
    assert {row["dataset"] for row in lone} == {"all"}
    assert [[row[key] for key in keys] for row in lone] == [
        [row[key] for key in keys] for row in named
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A fitted study on disk."""
    import pyarrow

    from scalebed.predict.study import fit_files

    folder, tables = tmp_path_factory.mktemp("fitted"), synthetic.tables()
    (folder / "tables").mkdir()
    for name, rows in tables.items():
        table = pyarrow.Table.from_pylist(rows)
        pyarrow.parquet.write_table(table, folder / "tables" / f"{name}.parquet")
    fit_files(folder / "tables", folder / "fits", synthetic.params())
    return folder


def test_the_verb_prints_and_writes(folder, tmp_path, capsys):
    assert (
        main(
            [
                "calibrate",
                str(folder),
                "--simulations",
                "2",
                "--out",
                str(tmp_path / "calibration.parquet"),
            ]
        )
        == 0
    )
    text = capsys.readouterr().out
    assert "other data sets, yardstick, all: nominal 90%" in text
    assert "* parametric" in text
    table = pyarrow.parquet.read_table(tmp_path / "calibration.parquet")
    assert table.column_names == TABLE.names
    assert table.num_rows > 100


def test_bad_words_get_one_sentence(folder, capsys):
    assert main(["calibrate", str(folder), "--simulations", "-1"]) == 2
    assert "--simulations is -1, expected 0 .. 10000" in capsys.readouterr().err
    assert main(["calibrate", str(folder / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
