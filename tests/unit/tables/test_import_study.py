"""A plain table as a study: imported, fitted, gathered and reported."""

import json

import numpy as np
import pandas as pd
import pytest

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.core.provenance import canonical_json
from scalebed.plan import rule_params
from scalebed.predict.open_study import read_tables
from scalebed.study.imported import ImportedStudy
from scalebed.study.load import load_any, parse_any
from scalebed.tables.imports.table import import_cells, size_name
from scalebed.tables.imports.tabulate import tabulate_import
from scalebed.tables.reader import StudyDatabase

VALUES = {
    "name": "mine",
    "title": "Runs I have",
    "source": {"importer": "table", "path": "runs.csv"},
    "fit": {
        "loss": "loss",
        "loss_cells": [{"sizes": ["10m", "30m", "100m"]}],
        "targets": [{"sizes": ["1000m"]}],
    },
    "bootstrap": {"draws": 200},
}


CHECKS = (["calibrate", "--simulations", "2"], ["compare", "--only", "reliability"], ["contrast"])


def table(folder):
    """Write runs of two data sets that follow the laws up to a little noise."""
    noise = np.random.default_rng(5)
    rows = []
    for dataset, floor in (("web", 1.8), ("code", 1.2)):
        for params in (10e6, 30e6, 100e6, 1e9):
            for ratio in (20, 80):
                tokens = ratio * params
                loss = floor + 120 * params**-0.25 + 150 * tokens**-0.25
                loss *= 1 + 0.003 * noise.standard_normal()
                error = 0.9 - 2.0 * np.exp(-0.7 * loss)
                rows.append((dataset, params, tokens, loss, error))
    frame = pd.DataFrame(rows, columns=["dataset", "params", "tokens", "loss", "error"])
    frame.to_csv(folder / "runs.csv", index=False)
    return frame


def test_a_table_becomes_a_report(tmp_path):
    frame = table(tmp_path)
    study = parse_any(VALUES, "study.yaml")
    assert isinstance(study, ImportedStudy)
    source = str(tmp_path / "runs.csv")
    tables, fits, database = (str(tmp_path / name) for name in ("tables", "fits", "study.duckdb"))
    params = canonical_json(rule_params.imported(study))
    assert main(["import-cells", "--params", params, "--source", source, "--out", tables]) == 0
    params = canonical_json(rule_params.fit(study))
    assert main(["fit-laws", "--params", params, "--tables", tables, "--out", fits]) == 0
    checks = tmp_path / "checks"
    for verb, *more in CHECKS:
        assert main([verb, str(tmp_path), *more, "--out", str(checks)]) == 0
    decided = str(checks / "decisions.parquet")
    assert main(["run-check", "decisions", str(tmp_path), "--out", decided]) == 0
    params = canonical_json(rule_params.report(study))
    words = ["--params", params, "--tables", tables, "--fits", fits]
    assert main(["gather-study", *words, "--checks", str(checks), "--out", database]) == 0
    params = json.dumps(rule_params.report(study) | {"figures": rule_params.figures(study)})
    page = tmp_path / "report.html"
    words = ["--params", params, "--database", database, "--out", str(page)]
    assert main(["write-report", *words]) == 0
    assert "Runs I have" in page.read_text(encoding="utf-8")
    with StudyDatabase(database) as opened:
        found = opened.frame(
            "SELECT * FROM predictions_vs_measured WHERE role = 'target' ORDER BY dataset, tokens"
        )
    assert set(found["kind"]) == {"loss", "error"}
    losses = found[found["kind"] == "loss"]
    big = frame[frame["params"] == 1e9].sort_values(["dataset", "tokens"])
    np.testing.assert_allclose(losses["measured"], big["loss"])
    np.testing.assert_allclose(losses["predicted"], losses["measured"], rtol=0.03)
    assert losses["lower"].notna().all()


def test_equal_coordinates_get_a_running_seed_and_unfinished_runs_fail(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("params,tokens,loss\n1e7,2e8,3.1\n1e7,2.01e8,3.0\n1e7,2e8,nan\n")
    found = import_cells(path, {})
    assert [row["seed"] for row in found.cells] == [0, 1, 2]
    assert [row["status"] for row in found.cells] == ["done", "done", "failed"]
    assert found.cells[2]["reason"] == "row 3 of runs.csv has no finite loss"
    assert len(found.losses) == 2


def test_a_row_that_repeats_another_is_one_cell_and_logged(tmp_path, caplog):
    path = tmp_path / "runs.csv"
    path.write_text("params,tokens,loss\n1e7,2e8,3.1\n1e7,2e8,3.1\n1e7,2e8,3.0\n1e7,2e8,nan\n")
    found = import_cells(path, {})
    assert [row["seed"] for row in found.cells] == [0, 1, 2]
    assert [row["loss"] for row in found.losses] == [3.1, 3.0]
    assert found.cells[2]["reason"] == "row 4 of runs.csv has no finite loss"
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "row 2 repeats row 1 in all columns and is left out" in record.getMessage()
    assert record.getMessage() in found.facts["notes"]


@pytest.mark.parametrize(
    ("params", "name"),
    [(10_569_312, "11m"), (1_439_795_200, "1440m"), (68.9e9, "69b"), (16_000, "16k"), (7, "7")],
)
def test_sizes_are_named_after_their_parameters(params, name):
    assert size_name(params) == name


def test_an_option_is_refused(tmp_path):
    with pytest.raises(ScalebedError, match="has no option 'sep'"):
        import_cells(tmp_path / "runs.csv", {"sep": ";"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": 1}, "colour: unknown key"),
        ({"source": {"importer": "excel"}}, "source.importer"),
        ({"source": {"importer": "table"}}, "source: the importer table needs path"),
        ({"figures": {"pie": {}}}, "figures.pie: no figure is called 'pie'"),
        ({"fit": VALUES["fit"] | {"loss_law": "wish"}}, "fit.loss_law: no law is called 'wish'"),
    ],
)
def test_bad_study_files_get_one_sentence(change, words):
    with pytest.raises(ScalebedError, match=r"^study\.yaml: ") as caught:
        parse_any(VALUES | change, "study.yaml")
    assert words in str(caught.value)


def test_a_selector_that_matches_nothing_is_named(tmp_path, capsys):
    table(tmp_path)
    values = VALUES | {"fit": VALUES["fit"] | {"targets": [{"sizes": ["7b"]}]}}
    params = canonical_json(rule_params.imported(parse_any(values, "study.yaml")))
    source, out = str(tmp_path / "runs.csv"), str(tmp_path / "tables")
    assert main(["import-cells", "--params", params, "--source", source, "--out", out]) == 2
    assert "fit.targets[0] matches no cell" in capsys.readouterr().err


def imported(tmp_path, **fit):
    """Return the rows of the cells of a study, by its selectors."""
    table(tmp_path)
    values = VALUES | {"fit": VALUES["fit"] | fit}
    params = rule_params.imported(parse_any(values, "study.yaml"))
    # As they come to the job.
    params = json.loads(canonical_json(params))
    tabulate_import(params, tmp_path / "runs.csv", tmp_path / "tables")
    return read_tables(tmp_path / "tables")["cells"]


@pytest.mark.parametrize(
    ("fit", "said"),
    [
        # The names one would give them are not those they got: 4 points of 11 were fitted.
        (
            {"loss_cells": [{"sizes": ["10m", "33m", "101m"]}]},
            "fit.loss_cells[0]: sizes '33m', '101m' match no cell; there is 10m, 30m, 100m, 1000m",
        ),
        (
            {"targets": [{"sizes": ["1000m"], "ratios": [20, 40]}]},
            "fit.targets[0]: ratios 40 matches no cell beside its other keys; there is 20, 80",
        ),
        ({"scatter_cells": [{"datasets": ["web", "book"]}]}, "datasets 'book' matches no cell"),
        ({"error_cells": [{"recipes": ["base"]}]}, "recipes 'base' matches no cell; there is imp"),
        (
            {"targets": [{"params": ["2B", None]}]},
            "fit.targets[0] matches no cell of the grid: params [2B, null] matches no cell; "
            "there is 10M .. 1B",
        ),
    ],
)
def test_every_value_of_a_selector_has_to_match_an_imported_cell(tmp_path, fit, said):
    with pytest.raises(ScalebedError) as caught:
        imported(tmp_path, **fit)
    assert str(caught.value).startswith(f"study mine, cells of {tmp_path / 'runs.csv'}: fit.")
    assert said in str(caught.value)


def test_imported_cells_are_chosen_by_ranges(tmp_path):
    targets = [{"params": ["1e8", None], "tokens": [3e9, None], "datasets": ["web"]}]
    rows = imported(tmp_path, loss_cells=[{"flops": [None, 5e16]}], targets=targets)
    chosen = {(row["params"], row["tokens"]) for row in rows if row["target"]}
    assert chosen == {(10**8, 8 * 10**9), (10**9, 2 * 10**10), (10**9, 8 * 10**10)}
    for row in rows:
        assert row["fit_loss"] == (6 * row["params"] * row["tokens"] <= 5e16)


def test_a_study_without_ranges_has_the_parameters_of_before_there_were_any():
    fit = rule_params.imported(parse_any(VALUES, "study.yaml"))["fit"]
    keys = {"datasets", "sizes", "ratios", "recipes", "seeds"}
    assert [set(selector) for selector in fit["loss_cells"] + fit["targets"]] == [keys, keys]
    ranged = VALUES | {"fit": VALUES["fit"] | {"targets": [{"params": ["1B", None]}]}}
    fit = rule_params.imported(parse_any(ranged, "study.yaml"))["fit"]
    assert [set(selector) for selector in fit["targets"]] == [keys | {"params"}]


def test_study_files_are_read_by_kind(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps(VALUES), encoding="utf-8")
    assert isinstance(load_any(path), ImportedStudy)
