"""The cells of a study while it runs: done, running, waiting."""

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import save_file
from small_study import study_values

from scalebed.commands.cli import main
from scalebed.core.arithmetic import count_params, steps_for
from scalebed.core.files import write_json
from scalebed.core.trunks import leaves_at, trunk_of
from scalebed.plan import rule_params
from scalebed.study.trained import parse_study
from scalebed.train.params import Recipe
from scalebed.train.rates import learning_rate
from scalebed.watch.running import running


def loss(params, tokens, fraction, rng):
    final = 1.5 + 3 * params**-0.1 + 3 * tokens**-0.1
    return final * (1 + 0.2 * (1 - fraction)) * (1 + 0.005 * rng.standard_normal(fraction.size))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """All cells of one data set are done, but one that runs and one that waits."""
    monkeypatch.chdir(tmp_path)
    values = study_values()
    values["grid"] = [{"sizes": ["small", "large"], "ratios": [10, 20, 40, 80, 160]}]
    values["fit"]["loss_cells"] = [{"sizes": ["small"]}]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(values))
    study = parse_study(values, "x")
    rng = np.random.default_rng(0)
    for cell in study.cells():
        size = study.sizes[cell.size]
        batch = study.recipe_values(cell.recipe, cell.size).batch_sequences * size.context
        params = count_params(size).total
        steps = steps_for(params, cell.ratio, batch)
        done = np.arange(1, steps + 1)
        values = loss(params, steps * batch, done / steps, rng)
        state = (cell.dataset, cell.size, cell.ratio)
        if state == ("red", "large", 40):
            curve = np.zeros((steps // 2, 3), np.float32)
            curve[:, 0] = 1.2 * values[: steps // 2]
            folder = tmp_path / "state" / cell.path / "0123"
            folder.mkdir(parents=True)
            save_file({"curve": curve}, folder / f"step-{steps // 2:09d}.safetensors")
        elif state == ("red", "large", 80) or cell.dataset != "red":
            continue
        else:
            folder = tmp_path / "results" / "cells" / cell.path
            write_json(folder / "metrics.json", {"status": "done", "reason": None})
            columns = {"step": done - 1, "tokens": done * batch, "loss": values}
            recipe = Recipe.from_record(rule_params.cell(study, cell)["recipe"])
            rates = [learning_rate(recipe, steps, step) for step in range(steps)]
            frame = pd.DataFrame(columns | {"lr": rates, "grad_norm": np.ones(steps)})
            frame.to_parquet(folder / "curve.parquet")
    return tmp_path


def test_a_line_for_every_cell_says_where_it_stands(project, capsys):
    assert main(["watch", "--study", "study.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20
    (running,) = (line for line in lines if ": running" in line)
    assert "dataset=red/size=large/ratio=40" in running
    assert "50%, behind its curve" in running
    done = [line for line in lines if ": done, 100%" in line]
    assert len(done) == 8
    assert sum("on its curve" in line for line in done) >= 6
    assert sum(": waiting" in line for line in lines) == 11


@pytest.fixture
def branching(tmp_path):
    """Two cells of one size that branch off one trunk, of 4 sequences of 32 tokens a step."""
    values = study_values()
    values["recipes"]["base"] |= {"schedule": "wsd", "cooldown": 0.25}
    values["grid"] = [{"sizes": ["small"], "ratios": [20, 40]}]
    values["fit"] = {"loss": "blue", "loss_cells": [{"ratios": [20, 40]}]}
    study = parse_study(values, "x")
    short, long = (
        (cell, rule_params.cell(study, cell)) for cell in study.cells() if cell.dataset == "red"
    )
    assert trunk_of(short[1]) == trunk_of(long[1])
    return tmp_path, short, long


def keep(folder, loss):
    folder.mkdir(parents=True)
    curve = np.zeros((loss.size, 3), np.float32)
    curve[:, 0] = loss
    save_file({"curve": curve}, folder / f"step-{loss.size:09d}.safetensors")


def test_a_cell_is_where_its_trunk_is_and_no_further_than_it_branches_off(branching):
    root, (short, spec), (long, longer) = branching
    assert running(root, short, spec) is None
    trunk, leaves = trunk_of(spec).path, leaves_at(spec)
    # The newest state is the one that is furthest, wherever it lies.
    keep(root / "results" / "trunks" / trunk / f"step={leaves}", np.full(leaves, 5.0))
    further = np.linspace(6, 4, leaves + 20)
    keep(root / "state" / "trunks" / trunk / "01ab", further)
    state, curve = running(root, short, spec)
    assert state == "on its trunk"
    assert curve.loss == pytest.approx(further[:leaves])
    assert curve.tokens == pytest.approx(128 * np.arange(1, leaves + 1))
    state, curve = running(root, long, longer)
    assert (state, curve.tokens[-1]) == ("on its trunk", 128 * (leaves + 20))
    # The recipe of the cell tells the rate: a warm-up of 10 steps, then constant.
    peak = longer["recipe"]["lr"]
    assert curve.lr[:9] == pytest.approx(peak * np.arange(1, 10) / 10)
    assert curve.lr[9:] == pytest.approx(peak)


def test_a_branch_of_its_own_comes_before_the_trunk(branching):
    root, (cell, spec), _ = branching
    keep(root / "state" / "trunks" / trunk_of(spec).path / "01ab", np.full(90, 5.0))
    keep(root / "state" / cell.path / "23cd", np.full(30, 4.0))
    state, curve = running(root, cell, spec)
    assert (state, curve.loss.size) == ("running", 30)


def test_a_checkpoint_that_is_gone_by_now_leaves_the_one_before(branching):
    root, (cell, spec), _ = branching
    folder = root / "state" / cell.path / "23cd"
    keep(folder, np.full(30, 4.0))
    # A name that leads nowhere is there for who lists the folder, and gone for who opens it.
    (folder / "step-000000040.safetensors").symlink_to(folder / "thrown-away")
    state, curve = running(root, cell, spec)
    assert (state, curve.loss.size) == ("running", 30)


def test_a_reason_of_several_lines_is_one_line(project, capsys):
    cell = "dataset=red/size=large/ratio=80/recipe=base/seed=0"
    record = {"status": "failed", "reason": "x\n  b: done\x1b[2J"}
    write_json(project / "results" / "cells" / cell / "metrics.json", record)
    assert main(["watch", "--study", "study.yaml"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 20
    assert rf"{cell}: failed, x\n  b: done\x1b[2J" in said


def test_a_study_that_trains_nothing_has_nothing_to_watch(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["watch", "--study", "none.yaml"]) == 2
    assert "none.yaml" in capsys.readouterr().err
