"""What begins a line of output: what a verb says, and never a name, be it that of a file."""

import json

import hostile_texts
import numpy as np
import pandas as pd
import pytest
import study_records as records
import yaml

from scalebed.commands.cli import main

FORGED = "a\nforged: line\x1b[2J"
SHOWN = r"a\nforged: line\x1b[2J"


def write_budgets(path, dataset="web"):
    """Write runs at three computes, five sizes each."""
    noise, rows = np.random.default_rng(3), []
    for flops in (1e18, 1e19, 1e20):
        for size in (0.25, 0.5, 1, 2, 4):
            params = size * (flops / 120) ** 0.5
            tokens = flops / 6 / params
            loss = 1.8 + 400 * params**-0.34 + 400 * tokens**-0.28
            rows.append((dataset, params, tokens, loss * (1 + 0.003 * noise.standard_normal())))
    pd.DataFrame(rows, columns=["dataset", "params", "tokens", "loss"]).to_csv(path, index=False)


def lines_of(capsys):
    """Return the lines that were printed, of which none was forged."""
    printed = capsys.readouterr()
    said = (printed.out + printed.err).splitlines()
    assert all(line.isprintable() for line in said)
    assert not [line for line in said if line.startswith(("forged", "  forged", "loss", "N*"))]
    return said


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_budgets(f"{FORGED}.csv")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["fit", "--target", "params=1B,tokens=20B"],
        ["predict", "--target", "params=1B,tokens=20B"],
        ["decide", "--compute", "1e21"],
        ["suggest", "--compute", "1e21", "--count", "1"],
        ["isoflop", "--compute", "1e21"],
        ["seal", "--target", "params=1B,tokens=20B", "--out", "x.json", "--despite-evidence"],
    ],
    ids=lambda words: words[0],
)
def test_the_name_of_a_table_begins_no_line(folder, capsys, words):
    assert main([words[0], f"{FORGED}.csv", "--draws", "100", *words[1:]]) == 0
    assert any(SHOWN in line for line in lines_of(capsys))


def test_where_a_fit_or_a_judgement_is_written_begins_no_line(folder, capsys):
    words = ["--draws", "100", "--target", "params=1B,tokens=20B"]
    assert main(["fit", f"{FORGED}.csv", *words, "--out", f"{FORGED}.fit.json"]) == 0
    assert lines_of(capsys)[-1] == f"written: {SHOWN}.fit.json"
    words += ["--out", f"{FORGED}.json", "--despite-evidence"]
    assert main(["seal", f"{FORGED}.csv", *words]) == 0
    assert main(["judge", f"{FORGED}.json", "--loss", "2.67"]) == 0
    assert lines_of(capsys)[-1] == f"written: {SHOWN}.judged.json"
    assert main(["ledger", "."]) == 0
    assert any(SHOWN in line for line in lines_of(capsys))


def test_the_source_of_a_study_begins_no_line_of_its_plan(folder, capsys):
    study = {
        "name": "mine",
        "title": "x",
        "source": {"importer": "table", "path": f"{FORGED}.csv"},
        "fit": {"loss": "loss", "loss_cells": [{}]},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    assert main(["plan", "--study", "study.yaml"]) == 0
    assert any(line.endswith(f"from {SHOWN}.csv") for line in lines_of(capsys))


def test_names_of_data_sets_are_carried_through_budgets(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_budgets("runs.csv", hostile_texts.ALL)
    words = ["isoflop", "runs.csv", "--draws", "100"]
    assert main(words) == 0
    assert lines_of(capsys)[0].startswith(f"runs.csv, {hostile_texts.ALL}, loss: 15 runs")
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dataset"] == hostile_texts.ALL
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]


def test_the_folder_of_a_study_begins_no_line(tmp_path, tmp_path_factory, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study = records.shared_study(tmp_path_factory, "one cell")
    (tmp_path / FORGED).symlink_to(study.parent)
    assert main(["show-predictions", "--database", f"{FORGED}/study.duckdb"]) == 0
    assert f"database  {SHOWN}/study.duckdb" in lines_of(capsys)
    for words in (["compare", "--only", "reliability"], ["contrast"]):
        assert main([words[0], f"./{FORGED}", *words[1:], "--out", f"{FORGED}.out"]) == 0
        assert any(f"{SHOWN}.out" in line for line in lines_of(capsys))


def test_what_is_to_be_typed_after_init_is_quoted_for_the_shell(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "a $(touch x) b/mine"]) == 0
    assert "; next: cd 'a $(touch x) b/mine' && snakemake" in lines_of(capsys)[-1]
