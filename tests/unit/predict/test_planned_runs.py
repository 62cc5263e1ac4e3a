"""Runs that a table plans: they enter no fit and get a prediction."""

import json

import numpy as np
import pyarrow.parquet
import pytest

from scalebed.commands.cli import main
from scalebed.core.provenance import canonical_json
from scalebed.plan import rule_params
from scalebed.predict.ask import table_settings
from scalebed.predict.table import fit_table
from scalebed.predict.table_runs import Target, with_planned
from scalebed.study.load import parse_any
from scalebed.tables.imports.table import ratio_name
from scalebed.tables.runs_file import read_runs
from scalebed.tables.runs_notes import about

HEAD = "run,params,tokens,loss,status\n"


def grid(planned="p,7B,140B,,planned\n"):
    noise = np.random.default_rng(3)
    rows = []
    for params in (1e7, 3e7, 1e8, 3e8):
        for ratio in (20, 80):
            loss = 1.8 + 120 * params**-0.25 + 150 * (ratio * params) ** -0.25
            loss *= 1 + 0.003 * noise.standard_normal()
            rows.append(f"r{len(rows)},{params},{ratio * params},{loss},finished\n")
    return HEAD + "".join(rows) + planned


def rows(folder, table, column, value):
    """Rows of a parquet file with a value in a column."""
    found = pyarrow.parquet.read_table(f"{folder}/{table}.parquet").to_pylist()
    return [row for row in found if row[column] == value]


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text(grid())
    return file


def test_what_is_planned_and_what_is_not(tmp_path):
    file = tmp_path / "runs.csv"
    rows = [
        "a,1,2,3,finished",
        "b,1,2,,planned",
        "c,1,2,,Pending",
        "d,1,2,,",
        "e,1,2,,finished",
        "f,1,2,,crashed",
        "g,1,2,nan,",
        "h,1,2,4,queued",
        "i,,2,,planned",
        "j,1,2,9,running",
    ]
    file.write_text(HEAD + "\n".join(rows) + "\n")
    table = read_runs(file)
    assert "".join(table.run[table.planned]) == "bcdh"
    assert table.finished.tolist() == [True] + [False] * 9
    found = about(table)
    assert (found["planned"], found["unfinished"]) == (4, 5)
    assert [one["row"] for one in found["set_aside"]] == [5, 6, 7, 9, 10]


def test_rows_of_a_run_that_has_a_loss_are_not_planned(tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text("run,params,tokens,loss\na,1,2,\na,1,3,4\nb,1,2,\n")
    assert read_runs(file).planned.tolist() == [False, False, True]


def test_planned_runs_are_targets_once_each(tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text(grid("p,7B,140B,,planned\nq,7e9,1.4e11,,\ns,1B,20B,,\n"))
    table = read_runs(file)
    asked = (Target(1e9, 2e10), Target(5, 6, "all"))
    found = with_planned(table, asked)
    assert found[:2] == asked
    assert [(one.params, one.tokens, one.dataset, one.name) for one in found[2:]] == [
        (7e9, 1.4e11, "all", "run p, run q"),
    ]


def test_a_planned_run_gets_the_prediction_of_a_target(path):
    table = read_runs(path)
    settings = table_settings(table, draws=200)
    record = fit_table(table, (), settings)
    (row,) = record["predictions"]
    assert row["run"] == "run p"
    asked = path.with_name("without.csv")
    asked.write_text(grid(""))
    plain = read_runs(asked)
    (other,) = fit_table(plain, (Target(7e9, 1.4e11),), settings)["predictions"]
    assert other["run"] is None
    for key in ("predicted", "lower", "upper", "evidence"):
        assert row[key] == other[key]
    assert record["fits"][0]["points"] == 8


def test_a_planned_run_of_an_imported_study_is_predicted(tmp_path, path, capsys):
    values = {
        "name": "mine",
        "title": "Runs",
        "source": {"importer": "table", "path": str(path)},
        "fit": {"loss": "loss", "loss_cells": [{"datasets": ["all"]}]},
        "bootstrap": {"draws": 200},
    }
    study = parse_any(values, "study.yaml")
    tables, fits = str(tmp_path / "tables"), str(tmp_path / "fits")
    params = canonical_json(rule_params.imported(study))
    assert main(["import-cells", "--params", params, "--source", str(path), "--out", tables]) == 0
    params = canonical_json(rule_params.fit(study))
    assert main(["fit-laws", "--params", params, "--tables", tables, "--out", fits]) == 0
    (cell,) = rows(tables, "cells", "status", "planned")
    (found,) = rows(fits, "predictions", "role", "target")
    said = rows(tables, "arguments", "key", "run")
    assert (cell["target"], cell["fit_loss"], cell["scatter"]) == (True, False, False)
    assert cell["reason"] == "run p of runs.csv has no loss yet"
    assert found["cell"] == cell["cell"]
    assert found["lower"] < found["predicted"] < found["upper"]
    assert found["measured"] is None
    assert {row["value"] for row in said} == {"p", *(f"r{i}" for i in range(8))}

    file = tmp_path / "study.yaml"
    file.write_text(json.dumps(values), encoding="utf-8")
    capsys.readouterr()
    assert main(["plan", "--study", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["cell", "N", "D", "M", "FLOPs", "role", "state"]
    assert lines[1].split() == ["all", "10m", "10M", "200M", "20", "1.20e16", "fit", "done"]
    assert lines[9].split()[1:8] == ["7000m", "7B", "140B", "20", "5.88e21", "target", "planned:"]
    assert f"study mine: 9 cells (8 done, 1 planned) from {path}" in lines
    assert "the loss law is fitted to 8, 1 are predicted" in lines
    assert main(["plan", "--study", str(file), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [one["target"] for one in plan["cells"]] == [False] * 8 + [True]
    assert plan["cells"][8]["state"] == "planned"


def test_a_plan_says_that_its_source_is_not_there(tmp_path, capsys):
    file = tmp_path / "study.yaml"
    fit = {"loss": "loss", "loss_cells": [{}]}
    source = {"importer": "wandb", "path": "none.csv"}
    values = {"name": "mine", "title": "Runs", "source": source, "fit": fit}
    file.write_text(json.dumps(values), encoding="utf-8")
    assert main(["plan", "--study", str(file)]) == 2
    assert "source.path none.csv is not there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ratio", "name"), [(0.5, 0.5), (2.54, 2.5), (9.94, 9.9), (10.4, 10), (20.3, 20), (5.02, 5)]
)
def test_ratios_have_two_digits_at_least(ratio, name):
    assert ratio_name(ratio) == name
    assert isinstance(ratio_name(ratio), int) == (name == round(name))


def test_evidence_is_a_number_where_the_runs_of_a_size_share_nothing(tmp_path):
    file = tmp_path / "export.csv"
    file.write_text(
        "Name,n_params,tokens_seen,val_loss\n"
        "a0,1.1e7,2.2e8,5.312\na1,1.1e7,2.2e8,5.297\na2,1.1e7,3.52e9,4.596\n"
        "b0,7.9e7,1.58e9,3.832\nb1,7.9e7,6.32e9,3.587\nc0,1.54e8,3.08e9,3.497\n"
        "c1,1.54e8,2.46e10,3.230\nd0,4.12e8,8.24e9,3.150\nd1,4.12e8,6.59e10,2.853\n"
    )
    table = read_runs(file)
    (fit,) = fit_table(table, (), table_settings(table))["fits"]
    assert "nan" not in fit["evidence"]
