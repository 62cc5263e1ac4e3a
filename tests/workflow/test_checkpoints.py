"""Studies of models that others trained with open_lm, and studies that need it here."""

import json
from pathlib import Path

import pytest
import torch
from project import STUDY, Project

from scalebed.core.files import sha256_file
from scalebed.model import Decoder, ModelConfig, initialise
from scalebed.report.figures.registry import get_figure
from scalebed.report.figures.render import specification
from scalebed.study.figures import FIGURES
from scalebed.tables.reader import StudyDatabase
from scalebed.train.open_lm import convert

SIZES = {name: spec | {"ffn_multiple": 256} for name, spec in STUDY["sizes"].items()}
TAKEN = STUDY | {
    "sizes": SIZES,
    # Without calibration, which takes longest and sees nothing of where cells come from.
    "checks": ["reliability", "contrasts"],
    # One of predictions, and that of curves, of which these cells have none, are drawn.
    "figures": {"predicted_vs_measured": {}, "training_curves": {}},
    # No text of it is here.
    "datasets": {"tales": {"tokenizer": "bpe300"}},
    "recipes": {
        "published": {
            "source": "checkpoint",
            "checkpoint": "published/{dataset}-{size}-{ratio}.pt",
            "batch_sequences": 4,
            "warmup_steps": 10,
        }
    },
}


def write_checkpoint(path: Path, size: str, seed: int) -> Decoder:
    """Write a model as open_lm does after an epoch on several GPUs."""
    config = ModelConfig(**SIZES[size])
    model = Decoder(config)
    initialise(model, seed)
    weights = convert.to_open_lm(model.state_dict(), config)
    wrapped = {f"module.{name}": value for name, value in weights.items()}
    path.parent.mkdir(exist_ok=True)
    torch.save({"epoch": 5, "step": 100, "name": "run", "state_dict": wrapped}, path)
    return model


@pytest.mark.slow
def test_a_study_of_published_checkpoints_runs_to_its_report(project: Project) -> None:
    project.write_study(TAKEN)
    status, said = project.forked("--dry-run")
    assert status != 0
    assert "published/tales-" in said
    cells = [("6k", 2), ("8k", 2), ("11k", 2), ("6k", 4), ("8k", 4), ("15k", 2)]
    for seed, (size, ratio) in enumerate(cells):
        write_checkpoint(project.root / f"published/tales-{size}-{ratio}.pt", size, seed)
    planned = project.planned()
    assert planned["convert_checkpoint"] == planned["evaluate_losses"] == 6
    assert not planned.keys() & {"train_cell", "build_dataset"}
    plan = project.plan("--json")
    totals = json.loads(plan.stdout)["totals"]
    assert totals["to_train"] == totals["flops"] == 0
    project.make()
    assert (project.root / "results/studies/tiny/report.html").stat().st_size > 10_000
    with StudyDatabase(project.root / "results/studies/tiny/study.duckdb") as study:
        drawn = {name: specification(get_figure(name), study, {}) for name in FIGURES}
    # No check of decisions was asked for.
    empty = {name for name, spec in drawn.items() if "empty" in spec.get("usermeta", {})}
    assert empty == {"training_curves", "decisions"}
    folder = cell_folder(project, "6k", 2)
    record = json.loads((folder / "metrics.json").read_text())
    source = project.root / "published/tales-6k-2.pt"
    assert record["checkpoint"]["sha256"] == sha256_file(source)
    assert record["status"] == "done"
    assert record["epochs"] is None
    assert not project.planned()
    # Another file of the same name: this cell only, and what rests on it.
    write_checkpoint(source, "6k", 99)
    plan = project.plan("--json")
    reasons = [cell["reason"] for cell in json.loads(plan.stdout)["cells"]]
    assert reasons.count("checkpoint: it is another file") == 1
    planned = project.planned()
    assert planned["convert_checkpoint"] == planned["evaluate_losses"] == 1


def cell_folder(project: Project, size: str, ratio: int) -> Path:
    name = f"dataset=tales/size={size}/ratio={ratio}/recipe=published/seed=0"
    return project.root / "results" / "cells" / name


# Run by Python when it starts: open_lm is not found, installed or not.
HIDE = """\
from importlib.machinery import PathFinder
found = PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: None if name == "open_lm" else found(name, *more)
"""


def test_a_study_that_needs_open_lm_says_how_to_install_it(project: Project) -> None:
    (project.root / "src/sitecustomize.py").write_text(HIDE, encoding="utf-8")
    base = STUDY["recipes"]["base"]
    study = STUDY | {"sizes": SIZES, "recipes": {"base": base | {"backend": "open_lm"}}}
    project.write_study(study)
    sentence = "the backend open_lm is not installed here; install it with: requirements/open_lm.sh"
    for words in (("--dry-run",), ()):
        # A fork would not read it.
        result = project.snakemake(*words)
        assert result.returncode != 0
        assert sentence in result.stdout + result.stderr
    plan = project.scalebed("plan", "--study", "study.yaml", "--no-calibration")
    assert plan.returncode == 2
    assert f"error: {sentence}" in plan.stderr
    assert not (project.root / "results").exists()
