"""A study that seals: no target trains before its prediction is there."""

import copy
import datetime
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from project import STUDY, Project

from scalebed.core.remedies import KEPT_SEAL
from scalebed.core.trunks import leaves_at, state_path, trunk_of
from scalebed.plan import rule_params
from scalebed.study.load import parse_any

SEALED = "results/studies/tiny/sealed.json"
JUDGED = "results/studies/tiny/judged.parquet"


def sealing(**changes: Any) -> dict[str, Any]:
    """Return the tiny study with a seal."""
    study = copy.deepcopy(STUDY) | changes
    study["fit"]["seal"] = True
    return study


@pytest.fixture
def before(finished: Project, tmp_path: Path) -> Project:
    """Return a project whose cells are done but for the targets, and nothing after them."""
    project = Project(tmp_path / "project")
    shutil.copytree(finished.root, project.root, symlinks=True)
    shutil.rmtree(project.root / "results/studies")
    for part in ("results/cells", "state"):
        for dataset in STUDY["datasets"]:
            shutil.rmtree(project.root / part / f"dataset={dataset}/size=15k")
    project.write_study(sealing())
    return project


def path_of(project: Project, size: str) -> str:
    """Return metrics.json of a cell below the project's folder."""
    return str(project.cell(size=size).relative_to(project.root) / "metrics.json")


def test_a_target_waits_for_the_seal_and_no_other_cell_does(before: Project) -> None:
    # With the study's folder went what tells that tokens suffice.
    first = Counter(train_cell=1, check_tokens=1)
    assert before.planned(path_of(before, "15k")) == first + Counter(seal_predictions=1)
    assert before.planned(path_of(before, "11k")) == Counter()
    shutil.rmtree(before.root / "results/cells/dataset=both")
    # Of ten fit cells five are to be made again, with their losses and tasks.
    assert before.planned(path_of(before, "15k")) == Counter(
        train_cell=6, evaluate_losses=5, evaluate_tasks=5, seal_predictions=1, check_tokens=1
    )
    before.write_study(STUDY)
    assert before.planned(path_of(before, "15k")) == first


def test_a_branch_and_the_end_of_its_trunk_wait(project: Project) -> None:
    study = sealing(
        recipes={
            "base": {"batch_sequences": 4, "lr": 2e-2, "schedule": "wsd", "warmup_steps": 4}
            | {"cooldown": 0.2}
        },
        datasets={"tales": STUDY["datasets"]["tales"]},
    )
    study["grid"].append({"sizes": ["6k"], "ratios": [8]})
    study["fit"]["targets"] = [{"sizes": ["6k"], "ratios": [8]}]
    project.write_study(study)
    parsed = parse_any(study, "the study")
    cells = {
        cell.ratio: rule_params.cell(parsed, cell) for cell in parsed.cells() if cell.size == "6k"
    }
    counts = {}
    for ratio, spec in cells.items():
        trunk, step = trunk_of(spec), leaves_at(spec)
        assert trunk is not None and step is not None
        counts[ratio] = project.planned(f"results/trunks/{state_path(trunk, step)}")
    assert [counts[ratio]["seal_predictions"] for ratio in (2, 4, 8)] == [0, 0, 1]
    # The target leaves a trunk that two fit cells leave before it; four others have their own.
    assert (counts[4]["train_trunk"], counts[4]["train_cell"]) == (2, 0)
    assert counts[8]["train_cell"] == len(parsed.cells()) - 1


def test_a_run_seals_then_trains_then_judges(before: Project, finished: Project) -> None:
    before.make(JUDGED)
    seal = json.loads((before.root / SEALED).read_text())
    record = json.loads((before.root / path_of(before, "15k")).read_text())
    started = datetime.datetime.fromisoformat(record["run"]["started"])
    assert datetime.datetime.fromisoformat(seal["date"]) <= started
    # What was sealed is what the study without a seal says when all is known, to the last bit.
    database = str(finished.root / "results/studies/tiny/study.duckdb")
    what = "cell, kind, response, predicted, lower, upper, measured"
    with duckdb.connect(database, read_only=True) as connection:
        after = connection.execute(f"select {what} from predictions where role = 'target'")
        expected = set(after.fetchall())
        rows = connection.execute(f"select {what} from '{before.root / JUDGED}'").fetchall()
    assert len(rows) == 10
    assert set(rows) == expected

    # Now the seal is a fact: no edit of the fits makes another one. If it is lost its copy is put
    # back, and none is made if that is lost as well.
    study = sealing()
    study["bootstrap"]["draws"] = 300
    before.write_study(study)
    assert before.planned(JUDGED) == Counter(judge_predictions=1)
    before.write_study(STUDY)
    assert before.planned(path_of(before, "15k")) == Counter(), "cells belong to no study"
    # With another recipe they are other runs, of which none has begun.
    other = sealing()
    other["recipes"]["base"]["z_loss"] = 0.0
    before.write_study(other)
    assert before.planned(path_of(before, "15k"))["seal_predictions"] == 1
    before.write_study(study)
    (before.root / SEALED).unlink()
    status, said = before.forked(SEALED)
    assert status == 0, said
    assert json.loads((before.root / SEALED).read_text()) == seal
    for name in (SEALED, Path(SEALED).with_name(KEPT_SEAL)):
        (before.root / name).unlink()
    status, said = before.forked(SEALED)
    assert status != 0
    assert "a target has begun to train" in said
    assert (before.root / path_of(before, "15k")).exists()


def test_the_plan_of_a_study_that_seals(before: Project) -> None:
    result = before.plan("--json")
    assert result.returncode == 0, result.stderr
    states = [cell["state"] for cell in json.loads(result.stdout)["cells"]]
    assert (states.count("done"), states.count("missing")) == (10, 2)
