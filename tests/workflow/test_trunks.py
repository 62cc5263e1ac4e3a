"""Cells that branch off trunks: what is trained, and what an edit trains again."""

import copy
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from project import STUDY, Project, counted
from shared import shared_folder

from scalebed.core.files import read_json

RECIPE = {"batch_sequences": 4, "lr": 1e-2, "lr_end": 0.0, "warmup_steps": 10, "schedule": "wsd"}


def branched_study(**changes: Any) -> dict[str, Any]:
    """Return the tiny study with trunks, on one data set, without tasks."""
    study = copy.deepcopy(STUDY)
    del study["tasks"], study["datasets"]["both"]
    study["recipes"] = {"base": RECIPE | changes}
    study["grid"] = [{"sizes": ["6k", "8k", "15k"], "ratios": [2, 4]}]
    study["fit"] = {
        "loss": "yardstick",
        "loss_cells": [{"sizes": ["6k", "8k"]}],
        "targets": [{"sizes": ["15k"]}],
    }
    return study


@pytest.fixture(scope="session")
def branched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose cells are trained; tests must leave it as it is."""
    with shared_folder(tmp_path_factory, "branched") as folder:
        project = Project(folder)
        if not folder.exists():
            Project.create(folder).write_study(branched_study())
            project.make("cells")
    return project


@pytest.fixture
def checkout(branched: Project, tmp_path: Path) -> Project:
    """Return a copy of that project, times and Snakemake's records included."""
    shutil.copytree(branched.root, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


def states(project: Project, size: str) -> list[Path]:
    """Return the records of the states of a trunk, in order."""
    found = (project.root / "results/trunks").glob(f"dataset=tales/size={size}/**/state.json")
    return sorted(found, key=lambda path: int(path.parent.name.removeprefix("step=")))


def weights(project: Project, size: str, ratio: int) -> str:
    """Return the checksum of a cell's weights."""
    record = read_json(project.cell("tales", size, ratio) / "metrics.json")
    assert record["status"] == "done"
    return str(record["weights_sha256"])


def test_a_trunk_has_a_state_for_every_branch(branched: Project) -> None:
    for size in ("6k", "8k", "15k"):
        steps = [read_json(path)["params"]["steps"] for path in states(branched, size)]
        records = [
            read_json(branched.cell("tales", size, ratio) / "metrics.json") for ratio in (2, 4)
        ]
        assert steps == [record["trunk_steps"] for record in records]
        assert steps == [record["steps"] - round(0.2 * record["steps"]) for record in records]
    assert not list((branched.root / "state").rglob("step-*.safetensors")), "states are moved on"


def test_a_second_run_does_nothing(branched: Project) -> None:
    assert branched.planned("cells") == Counter()


def jobs(trunks: int, cells: int) -> Counter[str]:
    """Return the jobs of so many pieces of trunks and cells."""
    found = Counter(train_trunk=trunks, train_cell=cells, evaluate_losses=cells, cells=1)
    return Counter({name: count for name, count in found.items() if count})


def longer(study: dict[str, Any]) -> None:
    """Add a token count to one size."""
    study["grid"].append({"sizes": ["6k"], "ratios": [6]})


EDITS: dict[str, tuple[Callable[[dict[str, Any]], None], Counter[str]]] = {
    "a larger M": (longer, jobs(1, 1)),
    "another shape": (lambda study: study["recipes"]["base"].update(shape="linear"), jobs(0, 6)),
    "another rate at the end": (
        lambda study: study["recipes"]["base"].update(lr_end=1e-3),
        jobs(0, 6),
    ),
    "another cool-down": (
        lambda study: study["recipes"]["base"].update(cooldown=0.1),
        jobs(6, 6),
    ),
    "another rate": (lambda study: study["recipes"]["base"].update(lr=2e-2), jobs(6, 6)),
    "one M less": (lambda study: study["grid"][0].update(ratios=[4]), Counter()),
}


@pytest.mark.parametrize("name", EDITS)
def test_edit_of_the_study(name: str, branched: Project, tmp_path: Path) -> None:
    edit, expected = EDITS[name]
    study = branched_study()
    edit(study)
    assert branched.asked(study, tmp_path / "study.yaml").planned("cells") == expected


def test_an_edit_goes_on_from_the_states_there_are(checkout: Project) -> None:
    study = branched_study(cooldown=0.1)
    longer(study)
    old = {size: len(states(checkout, size)) for size in ("6k", "8k")}
    checkout.write_study(study)
    checkout.make("cells")
    assert {size: len(states(checkout, size)) for size in old} == {"6k": 5, "8k": 4}
    logs = [
        path.read_text(encoding="utf-8") for path in checkout.root.rglob("train_trunk/**/*.log")
    ]
    # Seven new pieces, and three of the first run that were not the first of their trunk.
    assert sum("resuming after step" in text for text in logs) == 7 + 3
    assert checkout.planned("cells") == Counter()


def test_a_state_that_nobody_needs_may_go(checkout: Project) -> None:
    shutil.rmtree(checkout.root / "results/trunks")
    assert checkout.planned("cells") == Counter()


def test_a_lost_state_is_made_again_with_the_cell_that_needs_it(checkout: Project) -> None:
    before = weights(checkout, "6k", 2)
    shutil.rmtree(states(checkout, "6k")[0].parent)
    shutil.rmtree(checkout.cell("tales", "6k", 2))
    # What comes after the state is asked too, and finds its results there.
    planned = checkout.planned("cells")
    assert (planned["train_trunk"], planned["train_cell"]) == (2, 2)
    kept = (checkout.cell("tales", "6k", 4) / "model.safetensors").stat().st_mtime_ns
    checkout.make("cells")
    assert weights(checkout, "6k", 2) == before
    assert (checkout.cell("tales", "6k", 4) / "model.safetensors").stat().st_mtime_ns == kept
    assert checkout.planned("cells") == Counter()


def test_another_study_shares_the_trunk(checkout: Project) -> None:
    study = branched_study()
    study |= {"name": "other", "grid": [{"sizes": ["6k", "8k", "15k"], "ratios": [4, 6]}]}
    checkout.write_study(study)
    said = checkout.dry_run("cells", "--printshellcmds")
    # Whether the tokens suffice is asked of every study once.
    assert counted(said) == jobs(3, 3) + Counter(check_tokens=1)
    (piece,) = [
        text
        for text in said.split("scalebed train-trunk")[1:]
        if "size=6k" in text.split("--out")[1][:80]
    ]
    params = json.loads(piece[piece.index("{") : piece.index("' --dataset")])
    assert params["steps"] > int(states(checkout, "6k")[-1].parent.name.removeprefix("step="))
