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
from scalebed.study.trained import parse_study


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
            frame = pd.DataFrame(columns | {"lr": np.ones(steps), "grad_norm": np.ones(steps)})
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
