"""The path of somebody who has the wheel and a table, and nothing of this repository."""

import json
import os
import subprocess

import numpy as np
import pytest
import yaml
from project import sentence

FIGURES = {"loss_vs_compute": {}}


@pytest.fixture
def run(environment, tmp_path):
    """Run a command of the environment, which is not activated, and return what it said."""

    def run(*words, folder=tmp_path):
        given = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        # The settings of threads, which decide how long this takes.
        given |= {name: os.environ[name] for name in os.environ if name.endswith("_NUM_THREADS")}
        program, *rest = words
        command = [str(environment / "bin" / "python"), "-m", program, *rest]
        done = subprocess.run(
            command, cwd=folder, env=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def loss(N, D):
    return 1.7 + 400 * N**-0.34 + 410 * D**-0.28


def write_export(path):
    """Write a table as the page of W&B exports it, with a run that crashed."""
    rows = ["Name,State,Created,Runtime,n_params,tokens,dataset,val/loss"]
    for N in (1e6, 2e6, 4e6, 8e6, 16e6):
        for M in (5, 20, 80):
            state = f"run-{N / 1e6:.0f}m-{M},finished,2026-05-01T10:00:00.000Z,3600"
            rows.append(f"{state},{N:.0f},{M * N:.0f},web,{loss(N, M * N):.6f}")
    rows.append("run-64m-20,crashed,2026-05-02T10:00:00.000Z,60,64000000,1280000000,web,7.1")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_study(folder):
    """Make the study of the folder one of six cells on text of one's own; return its values."""
    draw = np.random.default_rng(0)
    texts = (" ".join(sentence(draw) for _ in range(8)) for _ in range(260))
    (folder / "own.txt").write_text("\n\n".join(texts), encoding="utf-8")
    values = yaml.safe_load((folder / "config/config.yaml").read_text(encoding="utf-8"))
    values["corpora"]["text"] = {
        "reader": "files",
        "options": {"paths": "own.txt", "separator": "\n\n"},
    }
    values["recipes"] = {
        "base": {
            "batch_sequences": 4,
            "lr": 2e-2,
            "warmup_steps": 5,
            "sizes": {"w24": {"lr": 1e-2}},
        }
    }
    first, second, third, last = values["sizes"]
    values["grid"] = [
        {"sizes": [first, second, third], "ratios": [2]},
        {"sizes": [first, second], "ratios": [4]},
        {"sizes": [last], "ratios": [2]},
    ]
    values |= {"checks": [], "figures": FIGURES, "bootstrap": {"draws": 200}}
    return values


def save(folder, values):
    (folder / "config/config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def trained(folder):
    """Return when the record of each cell was written, by what the cell is called."""
    records = folder.glob("results/cells/*/*/*/*/*/metrics.json")
    return {"/".join(path.parts[-5:-3]): path.stat().st_mtime_ns for path in records}


def test_from_the_wheel_to_a_study_of_ones_own(run, tmp_path):
    write_export(tmp_path / "wandb.csv")
    target = "params=64M,tokens=1.28B"
    said = run("scalebed", "fit", "wandb.csv", "--target", target)
    assert "crashed" in said
    record = json.loads((tmp_path / "wandb.fit.json").read_text(encoding="utf-8"))
    (found,) = record["predictions"]
    assert found["predicted"] == pytest.approx(loss(64e6, 1.28e9), rel=0.01)
    assert "tokens" in run("scalebed", "decide", "wandb.csv", "--compute", "1e18")

    run("scalebed", "init", "mine")
    mine = tmp_path / "mine"
    table = {
        "name": "table",
        "title": "Runs of W&B",
        "source": {"importer": "table", "path": "../wandb.csv"},
        "fit": {"loss": "loss", "loss_cells": [{"params": [None, 9e6]}]},
    }
    table["fit"]["targets"] = [{"params": [9e6, None]}]
    table |= {"checks": [], "figures": FIGURES}
    (mine / "table.yaml").write_text(yaml.safe_dump(table), encoding="utf-8")
    run("snakemake", "--cores", "2", "--configfile", "table.yaml", folder=mine)
    assert "<svg" in (mine / "results/studies/table/report.html").read_text(encoding="utf-8")

    study = write_study(mine)
    save(mine, study)
    run("snakemake", "--cores", "2", folder=mine)
    assert "<svg" in (mine / "results/studies/mine/report.html").read_text(encoding="utf-8")
    before = trained(mine)
    assert len(before) == 6

    study["recipes"]["base"]["sizes"]["w24"]["lr"] = 1.1e-2
    save(mine, study)
    run("snakemake", "--cores", "2", folder=mine)
    after = trained(mine)
    assert [cell for cell in before if after[cell] != before[cell]] == ["size=w24/ratio=2"]
