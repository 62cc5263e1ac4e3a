"""What is said of a prediction is the same in a study and for a plain table of the same runs."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalebed.core.provenance import canonical_json
from scalebed.decide.sources import study_curves, table_curves
from scalebed.plan import rule_params
from scalebed.predict.ask import table_settings
from scalebed.predict.open_study import opened, read_tables
from scalebed.predict.settings import parse_settings
from scalebed.predict.study import fit_study
from scalebed.predict.table import fit_table
from scalebed.predict.table_runs import Target
from scalebed.study.load import parse_any
from scalebed.tables.imports.tabulate import tabulate_import
from scalebed.tables.runs_file import read_runs

TARGET = (1e9, 80e9)
SAID = ("numbers", "evidence", "verdict")
CELL = re.compile(r"dataset=all/size=(\d+)m/ratio=(\d+)/recipe=imported/seed=0")


def frame(odd: float = 1.0) -> pd.DataFrame:
    """Runs of five sizes up to a little noise, one of them off by a factor `odd`, and a target."""
    noise = np.random.default_rng(3)
    rows = []
    for params in (10e6, 20e6, 40e6, 80e6, 160e6):
        for ratio in (20, 40, 80):
            tokens = ratio * params
            loss = 1.8 + 120 * params**-0.25 + 150 * tokens**-0.25
            loss *= 1 + 0.002 * noise.standard_normal()
            rows.append((params, tokens, loss, 0.9 - 2.0 * np.exp(-0.7 * loss)))
    found = pd.DataFrame(rows, columns=["params", "tokens", "loss", "error"])
    found.loc[4, "loss"] *= odd
    found.loc[found.index.size] = (*TARGET, 2.9, 0.62)
    return found


@pytest.mark.parametrize("odd", [1.0, 1.2], ids=["well behaved", "one run off"])
@pytest.mark.parametrize(("interval", "law"), [("posterior", "chinchilla"), ("bootstrap", "tied")])
def test_a_study_and_a_table_say_the_same(
    tmp_path: Path, interval: str, law: str, odd: float
) -> None:
    values = {
        "name": "mine",
        "title": "Mine",
        "source": {"importer": "table", "path": "all.csv"},
        "fit": {
            "loss": "loss",
            "loss_law": law,
            "interval": interval,
            "loss_cells": [{"sizes": ["10m", "20m", "40m", "80m", "160m"]}],
            "targets": [{"sizes": ["1000m"]}],
        },
        "bootstrap": {"draws": 200},
    }
    runs = frame(odd)
    runs.to_csv(tmp_path / "all.csv", index=False)
    runs[:-1].to_csv(tmp_path / "fitted.csv", index=False)
    study = parse_any(values, "study.yaml")
    tabulate_import(rule_params.imported(study), tmp_path / "all.csv", tmp_path / "tables")
    settings = parse_settings(canonical_json(rule_params.fit(study)))
    tables = read_tables(tmp_path / "tables")
    found = {name: table.to_pylist() for name, table in fit_study(tables, settings).items()}
    table = read_runs(tmp_path / "fitted.csv")
    asked = table_settings(table, loss_law=law, interval=interval, draws=200)
    record = fit_table(table, (Target(*TARGET),), asked)

    def words(rows: list[dict[str, str]]) -> dict[tuple[str, str], tuple[str, ...]]:
        names = {"average": "error"}
        return {
            (row["kind"], names.get(row["response"], row["response"])): tuple(
                row[key] for key in SAID
            )
            for row in rows
        }

    def here(said: str | None) -> str:
        # A row is called by its place in each: a cell there, N and D here.
        def name(cell: re.Match[str]) -> str:
            N = int(cell[1]) * 1e6
            return f"N={N:.3g} D={N * int(cell[2]):.3g}"

        return CELL.sub(name, said or "")

    for rows in (found["fits"], found["predictions"]):
        for one in rows:
            one.update({key: here(one[key]) for key in SAID})
    assert words(record["fits"]) == words(found["fits"])
    targets = [row for row in found["predictions"] if row["role"] == "target"]
    assert words(record["predictions"]) == words(targets)
    assert set(words(targets)) == {("loss", "loss"), ("error", "error")}
    # And so does what is asked afterwards.
    (curve,) = study_curves(opened(tmp_path, settings, tables))
    (other,) = table_curves(table, asked)
    for one in (curve, other):
        for outcome in one.outcomes([Target(*TARGET)])[0]:
            said = (outcome.numbers, here(outcome.evidence))
            assert (
                said
                == words(targets)[outcome.kind, "error" if outcome.kind == "error" else "loss"][:2]
            )


def test_an_error_behind_a_loss_law_carries_the_evidence_of_both(tmp_path: Path) -> None:
    frame()[:-1].to_csv(tmp_path / "runs.csv", index=False)
    table = read_runs(tmp_path / "runs.csv")
    record = fit_table(table, (Target(*TARGET),), table_settings(table, draws=200))
    loss, error = record["predictions"]
    assert error["evidence"].startswith(f"loss law {loss['evidence']}; error law ")
    assert error["verdict"] == f"numbers: {error['numbers']}; evidence: {error['evidence']}"
