"""Trunks of the tiny study: what is trained, what is dropped, and that a plan says the same."""

import json
from typing import Any

from project import STUDY, Project

from scalebed.core.trunk_files import listed_states, state_folders
from scalebed.study.load import load_any

DROPPED = "results/studies/tiny/dropped_states.json"


def study(ratios: list[int], kept: str = "all", **recipe: Any) -> dict[str, Any]:
    """Return a study of two trunks, with a branch for each multiplier."""
    base = {"batch_sequences": 4, "lr": 1e-2, "lr_end": 0.0, "warmup_steps": 4, "schedule": "wsd"}
    cells = {"datasets": ["tales"], "sizes": ["6k", "8k"], "ratios": ratios}
    return STUDY | {
        "recipes": {"base": base | recipe},
        "grid": [cells],
        "fit": STUDY["fit"] | {"loss_cells": [{"ratios": [2]}], "targets": [{"ratios": [4]}]},
        "trunk_states": kept,
    }


def states(project: Project) -> list[int]:
    """Return the steps of the states of the smaller model."""
    found = state_folders(project.root / "results/trunks")
    return sorted(int(folder.name[5:]) for folder in found if "size=6k" in str(folder))


def targets(project: Project) -> list[str]:
    """Return the records of all cells, and of what was dropped."""
    cells = load_any(project.root / "study.yaml").cells()
    return [*(f"results/cells/{cell.path}/metrics.json" for cell in cells), DROPPED]


def wanted(project: Project) -> tuple[int, int]:
    """Return how many pieces of trunks and cells a run would train, and compare with the plan."""
    jobs = project.planned(*targets(project))
    result = project.plan("--json")
    plan = json.loads(result.stdout)
    pieces = [piece for piece in plan["trunks"] if piece["needed"] and piece["state"] == "missing"]
    assert len(pieces) == jobs["train_trunk"]
    assert plan["totals"]["to_train"] == jobs["train_cell"]
    return jobs["train_trunk"], jobs["train_cell"]


def run(project: Project) -> None:
    project.make(*targets(project))
    # Nothing is missed, whatever was dropped.
    assert not project.planned(*targets(project))


def test_states_come_and_go_and_nothing_reruns(project: Project) -> None:
    project.write_study(study([2, 4]))
    assert wanted(project) == (4, 4)
    assert not (project.root / "results/studies").exists()
    # The states are listed before anything trains, lest another study drops them meanwhile.
    project.make("results/datasets/tales/manifest.json")
    listed = listed_states(project.root / "results/studies")
    run(project)
    found = state_folders(project.root / "results/trunks")
    assert listed == {str(path.relative_to(project.root / "results/trunks")) for path in found}
    short, long = states(project)
    assert json.loads((project.root / DROPPED).read_text())["dropped"] == []

    project.write_study(study([2, 4], cooldown=0.4))
    assert wanted(project) == (4, 4)
    run(project)
    other = states(project)
    assert len(other) == 2
    assert not {short, long} & set(other)

    project.write_study(study([2, 4], kept="last", cooldown=0.4))
    assert project.planned(*targets(project)) == {"drop_states": 1}
    run(project)
    assert states(project) == other[1:]
    assert wanted(project) == (0, 0)

    # A longer trunk goes on from the state that is left, a lost cell trains its trunk again.
    project.write_study(study([2, 4, 8], kept="last", cooldown=0.4))
    assert wanted(project) == (2, 2)
    (project.cell() / "metrics.json").unlink()
    jobs = project.planned(*targets(project))
    # The state after it is there and put back, as is the cell that left at it.
    assert (jobs["train_trunk"], jobs["train_cell"]) == (4, 4)

    # For an M in between, the states before it are made again, and cells that are done put back.
    project.write_study(study([2, 3, 4], kept="last", cooldown=0.4))
    jobs = project.planned(*targets(project))
    assert (jobs["train_trunk"], jobs["train_cell"]) == (6, 6)
    said = project.plan("--summary").stdout
    assert "6 pieces of 2 trunks, 4 to train" in said
    again = "size=6k/ratio=4/recipe=base/seed=0 and 2 more will be evaluated again, not trained"
    assert again in said
