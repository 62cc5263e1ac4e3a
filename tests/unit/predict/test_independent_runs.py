"""What depends on each other among the rows of a fit, and what its verdict says of it."""

import json

import numpy as np
import pandas as pd
import pytest

from scalebed.commands.cli import main
from scalebed.laws import get_law
from scalebed.predict.independent import independent
from scalebed.predict.large import LARGE
from scalebed.predict.runs import collect_runs
from scalebed.predict.table_runs import Target, groups_of, runs_of
from scalebed.tables.runs_file import read_runs

DOUBT = "{} points are {} independent runs or designs: "
ALONE = "intervals of this method take them for independent"
FEW = "what those of one share rests on 1 degree of freedom"
TARGET = ("--target", "params=7e9,tokens=140e9")


def grid(sizes=5, ratios=(5, 20, 80, 320), seed=0):
    params = np.repeat(np.geomspace(1e7, 1e9, sizes), len(ratios))
    tokens = params * np.tile(ratios, sizes)
    loss = get_law("tied").value(np.array([1.8, 160.0, 290.0, 0.27]), (params, tokens))
    loss = loss * (1 + 0.005 * np.random.default_rng(seed).standard_normal(loss.size))
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": loss})


@pytest.fixture
def fitted(tmp_path, monkeypatch):
    """Fit a frame by the command line and return the JSON."""
    monkeypatch.chdir(tmp_path)

    def fit(frame, *words):
        frame.to_csv("runs.csv", index=False)
        assert main(["fit", "runs.csv", "--interval", "bootstrap", "--draws", "200", *words]) == 0
        return json.loads((tmp_path / "runs.fit.json").read_text())

    return fit


@pytest.mark.parametrize(
    ("codes", "count"),
    [
        ([], 5),
        ([[3, 1, 4, 0, 5], [9, 2, 6, 4, 3]], 5),
        ([[3, 3, 4, 0, 5]], 4),
        ([[1, 1, 1, 0, 0]], 2),
        ([[0, 1, 2, 3, 4], [7, 7, 1, 2, 7]], 3),
        ([[0, 0, 1, 1, 2], [0, 1, 1, 2, 3]], 2),
        ([[0, 0, 1, 2, 3], [0, 1, 1, 2, 3], [0, 1, 2, 3, 3]], 2),
        ([[0, 0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 1, 2, 3, 3]], 3),
    ],
)
def test_groups_are_joined_transitively(codes, count):
    assert independent([np.array(code) for code in codes], 5) == count


def test_no_points_are_no_groups():
    assert independent([np.zeros(0, dtype=int)], 0) == 0


def test_runs_of_their_own_are_certified(fitted):
    fit = fitted(grid())["fits"][0]
    assert (fit["numbers"], fit["points"], fit["independent"]) == ("found", 20, 20)


@pytest.mark.parametrize("sizes", [5, LARGE // 4 + 5])
def test_repeats_of_designs_are_a_doubt_where_the_draws_do_not_know_them(sizes, fitted, capsys):
    frame = grid(sizes)
    again = pd.concat([frame, grid(sizes, seed=1).iloc[:4]])
    fit = fitted(again)["fits"][0]
    n = len(frame)
    assert (fit["points"], fit["independent"]) == (n + 4, n)
    # Refits draw what repeats share, from 16 degrees of freedom; the delta method does not.
    expected = "found" if n < LARGE else f"doubtful: {DOUBT.format(n + 4, n)}{ALONE}"
    assert fit["numbers"] == expected
    assert "8 rows are repeats of 4 designs" in capsys.readouterr().out


def test_checkpoints_are_a_doubt_with_a_column_and_without_one(fitted, capsys):
    frame = grid(ratios=(20, 40, 60, 80, 100, 120))
    assert fitted(frame)["fits"][0]["numbers"].startswith(f"doubtful: {DOUBT.format(30, 5)}{FEW}")
    assert "look like checkpoints of 5 runs (size 1e+07: 6 eq" in capsys.readouterr().out
    named = fitted(frame.assign(run=frame["params"].map("n{:.0f}".format)), *TARGET)
    assert named["fits"][0]["numbers"].startswith(f"doubtful: {DOUBT.format(30, 5)}{FEW}")
    assert "30 rows of 5 runs, 30 of them used" in capsys.readouterr().out
    assert named["predictions"][0]["lower"] < named["predictions"][0]["upper"]
    apart = fitted(frame.assign(run=np.arange(30)))
    assert apart["fits"][0]["numbers"] == "found"


def test_checkpoints_of_runs_that_finished_leave_one_row_each(fitted):
    frame = grid()
    frame["run"] = [f"r{i}" for i in range(len(frame))]
    early = frame.assign(tokens=frame["tokens"] / 2, loss=frame["loss"] * 1.2)
    record = fitted(pd.concat([early, frame]).assign(status="finished"), *TARGET)
    alone = fitted(frame.assign(status="finished"), *TARGET)
    assert record["fits"] == alone["fits"]
    assert record["predictions"] == alone["predictions"]
    assert len(record["table"]["set_aside"]) == 20
    assert record["table"]["set_aside"][0]["row"] == 1


def test_a_column_that_was_only_recognised_changes_no_number(fitted):
    frame = grid()
    plain = fitted(frame, *TARGET)
    other = fitted(frame.assign(run_name=[f"r{i}" for i in range(len(frame))]), *TARGET)
    assert other["table"]["columns"] == {"run": "run_name"}
    assert other["fits"] == plain["fits"]
    assert other["predictions"] == plain["predictions"]


def test_columns_by_option(fitted, capsys):
    frame = grid()
    plain = fitted(frame, *TARGET)
    renamed = frame.rename(columns={"params": "size", "loss": "nll"})
    other = fitted(renamed, *TARGET, "--column", "params=size,loss=nll")
    assert other["predictions"] == plain["predictions"]
    assert other["table"]["columns"] == {"params": "size", "loss": "nll"}
    capsys.readouterr()
    assert main(["fit", "runs.csv", "--column", "params=M"]) == 2
    assert "runs.csv has no column M; its columns are size, tokens, nll" in capsys.readouterr().err


def test_no_finished_run_is_refused_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    grid().assign(status="crashed").to_csv("runs.csv", index=False)
    assert main(["fit", "runs.csv"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "20 rows are no finished run and are set aside: row 1 (crashed), row 2" in message


def test_unique_tokens_are_an_input_of_laws(fitted):
    law = get_law("constrained")
    theta = np.array([1.8, 400.0, 900.0, 0.33, 15.0, 5.0])
    frame = grid(4, (20, 80, 320, 1280))
    rows = []
    for share in (1, 4, 16):
        unique = frame["tokens"] / share
        x = tuple(c.to_numpy() for c in (frame["params"], frame["tokens"], unique))
        rows.append(frame.assign(unique_tokens=unique, loss=law.predict(theta, x)))
    record = fitted(pd.concat(rows), "--loss-law", "constrained", *TARGET)
    (fit,) = record["fits"]
    assert fit["independent"] == fit["points"] == 48
    for parameter, truth in zip(law.parameters, theta, strict=True):
        assert fit["parameters"][parameter.name]["value"] == pytest.approx(truth, rel=1e-4)
    target = law.predict(theta, tuple(np.array([v]) for v in (7e9, 1.4e11, 1.4e11)))
    assert record["predictions"][0]["predicted"] == pytest.approx(target[0], rel=1e-5)


def test_codes_come_in_canonical_order_and_targets_have_their_own(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(
        "run,trunk,params,tokens,loss\na,t,3,9,2\nb,,1,4,4\na,t,3,5,3\nc,t,1,4,4.1\nd,u,1,8,3\n"
    )
    (group,) = groups_of(read_runs(path), (Target(5, 6), Target(5, 6)))
    assert group.rows.tolist() == [1, 3, 4, 2, 0]
    runs = runs_of(group)
    found = [pd.factorize(code)[0].tolist() for code in (runs.unit, runs.design, runs.trunk)]
    assert found == [[0, 1, 2, 3, 3, 4, 5], [0, 0, 1, 2, 3, 4, 5], [0, 1, 2, 1, 1, 3, 4]]
    # b and c are of one design, c and a of one trunk.
    assert group.independent("loss") == 2
    assert len(set(runs.cells[:5])) == 5
    assert runs.cells[:5] == ("run/b", "run/c", "run/d", "run/a", "run/a/9/1")


def test_seeds_of_one_design_of_a_study_are_a_doubt():
    cell = {
        "dataset": "x",
        "recipe": "r",
        "flops": 1.0,
        "status": "done",
        "fit_loss": True,
        "fit_error": True,
        "target": False,
    }
    places = [(1, 20, 0), (1, 20, 1), (1, 40, 0), (2, 40, 0)]
    cells = [
        cell | {"cell": f"c{i}", "params": n, "tokens": d, "seed": s}
        for i, (n, d, s) in enumerate(places)
    ]
    (runs,) = collect_runs({"cells": cells, "losses": [], "tasks": []})
    assert runs.unit is None
    assert pd.factorize(runs.design)[0].tolist() == [0, 0, 1, 2]
    assert runs.independent(runs.fit_loss) == 3
