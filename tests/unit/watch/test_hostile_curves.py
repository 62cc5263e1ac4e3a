"""Curves, references and ladders whose names or values are orders to a terminal."""

import csv
import json
from pathlib import Path

import hostile_texts
import numpy as np
import pandas as pd
import pytest

from scalebed.commands.cli import main
from scalebed.watch.schedules import read_constants

RUN = ["--target", "params=1M,tokens=100K", "--schedule", "plan.csv"]
LAW = ["--multi-power", "L0=2,A=1,B=1,C=1,alpha=.5,beta=.5,gamma=.5"]


def write(path, name, values=None):
    """Write half of the curve of a run whose loss has a name."""
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["Step", name, f"{name}__MIN"])
        lines.writerows([10 * i, 3 + 1 / i, ""] for i in range(1, 51))
        lines.writerows(values or ())


@pytest.fixture(autouse=True)
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = np.arange(0, 1001, 10)
    rates = np.linspace(1e-3, 1e-4, steps.size)
    pd.DataFrame({"step": steps, "lr": rates}).to_csv("plan.csv", index=False)


def watched(capsys, curve, *words):
    """Return the exit status and the lines that were printed."""
    found = main(["watch", curve, *RUN, "--batch-tokens", "100", *words])
    printed = capsys.readouterr()
    said = (printed.out + printed.err).splitlines()
    assert all(line.isprintable() for line in said)
    return found, said


@pytest.mark.parametrize("name", [hostile_texts.ALL, *hostile_texts.UNFIT[:-1]])
def test_a_column_may_be_called_anything(capsys, name):
    write("curve.csv", name)
    assert watched(capsys, "curve.csv", *LAW, "--column", f"loss={name}")[0] == 0
    found, (said,) = watched(capsys, "curve.csv", *LAW)
    assert (found, "has no column loss; its columns are Step, " in said) == (2, True)
    # As a chart of W&B calls the loss of a run of that name.
    write("curve.csv", f"{name} - train/loss")
    found, (first, *_) = watched(capsys, "curve.csv", *LAW)
    assert (found, first) == (0, "50.0% of the schedule, training loss 3.0209")


@pytest.mark.parametrize("tag", [hostile_texts.ALL, "a\nb\x1b[2J"])
def test_a_tag_of_tensorboard_may_be_called_anything(capsys, tag):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter("events/a\nb") as writer:
        for step in range(1, 6):
            writer.add_scalar(tag, 4 - step / 10, 100 * step)
    found, (said,) = watched(capsys, "events", *LAW)
    assert (found, "has no column loss" in said) == (2, True)
    assert watched(capsys, "events", *LAW, "--column", f"loss={tag}")[0] == 0


@pytest.mark.parametrize("value", ["a\nb\x1b[2J", "x" * 10_000])
def test_a_value_that_is_no_number_is_told_in_one_line(capsys, value):
    write("curve.csv", "loss", [[510, value]])
    found, (said,) = watched(capsys, "curve.csv", *LAW)
    assert (found, "row 51: loss is '" in said, len(said) < 400) == (2, True, True)


@pytest.mark.parametrize("at", ["name", "value"])
def test_a_field_longer_than_a_reader_takes_is_told_in_one_line(capsys, at):
    long = "x" * 200_000
    write("curve.csv", long if at == "name" else "loss", [[510, long]])
    found, (said,) = watched(capsys, "curve.csv", *LAW)
    assert (found, "curve.csv is not a readable csv table: field larger" in said) == (2, True)


def test_the_name_of_a_reference_begins_no_line(capsys, monkeypatch):
    law = read_constants(LAW[1])
    monkeypatch.setattr("scalebed.watch.schedules.fit", lambda references: law)
    Path("a\nwarning: forged.csv").write_text("step,lr,loss\n10,3e-4,3\n20,2e-4,2.9\n")
    write("curve.csv", "loss")
    words = ["--reference", "a\nwarning: forged.csv"]
    found, said = watched(capsys, "curve.csv", *words)
    assert (found, len(said)) == (0, 3)
    assert r"fitted to a\nwarning: forged.csv" in said[-1]
    assert main(["watch", "curve.csv", *RUN, "--batch-tokens", "100", *words, "--json"]) == 0
    forecast = json.loads(capsys.readouterr().out)["forecast"]
    assert "a\nwarning: forged.csv" in forecast["compared_with"]
