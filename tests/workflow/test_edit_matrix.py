"""After an edit, exactly the jobs that depend on it run again."""

import copy
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from project import STUDY, Project

from scalebed.core.files import write_json
from scalebed.core.permission import NOT_ALLOWED
from scalebed.study.figures import FIGURES

CELLS = 12
AFTER_FIT = Counter(gather_study=1, plot_figure=len(FIGURES), write_report=1)
CHECKS = Counter(run_check=4)
FROM_FIT = Counter(fit_laws=1) + CHECKS + AFTER_FIT
AFTER_CELLS = Counter(tabulate_cells=1) + FROM_FIT


def cells(trained: int, evaluated: int | None = None) -> Counter[str]:
    """Return the jobs of so many new cells."""
    evaluated = trained if evaluated is None else evaluated
    return Counter(train_cell=trained, evaluate_losses=evaluated, evaluate_tasks=evaluated)


def edited_study(edit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Return the tiny study after an edit."""
    study = copy.deepcopy(STUDY)
    edit(study)
    return study


@pytest.fixture
def checkout(finished: Project, tmp_path: Path) -> Project:
    """Return a copy of the finished project, times and Snakemake's records included."""
    shutil.copytree(finished.root, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


def append(path: Path, text: str) -> None:
    """Add a line to a file."""
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_a_second_run_does_nothing(finished: Project) -> None:
    assert finished.planned() == Counter()


STUDY_EDITS: dict[str, tuple[Callable[[dict[str, Any]], None], Counter[str]]] = {
    "add a ratio": (
        lambda study: study["grid"].append({"sizes": ["6k"], "ratios": [6]}),
        cells(2) + AFTER_CELLS + Counter(list_cells=1),
    ),
    "add a ratio that needs more tokens than any": (
        lambda study: study["grid"].append({"sizes": ["6k"], "ratios": [8]}),
        cells(2) + AFTER_CELLS + Counter(list_cells=1, check_tokens=1),
    ),
    "remove a cell": (
        lambda study: study.update(exclude=[{"datasets": ["both"], "sizes": ["15k"]}]),
        AFTER_CELLS + Counter(list_cells=1),
    ),
    "change a recipe value at one size": (
        lambda study: study["recipes"]["base"].update(sizes={"8k": {"lr": 1e-2}}),
        cells(4) + AFTER_CELLS,
    ),
    "change a recipe value": (
        lambda study: study["recipes"]["base"].update(z_loss=0.0),
        cells(CELLS) + AFTER_CELLS,
    ),
    "evaluate fewer tokens": (
        lambda study: study["validation"]["tales"].update(max_tokens=2000),
        Counter(evaluate_losses=CELLS) + AFTER_CELLS,
    ),
    "draw more": (
        lambda study: study["bootstrap"].update(draws=300),
        FROM_FIT,
    ),
    "change the title": (
        lambda study: study.update(title="Another heading"),
        AFTER_FIT,
    ),
    "change an option of a figure": (
        lambda study: study.update(figures={"training_curves": {"width": 400}}),
        Counter(plot_figure=1, write_report=1),
    ),
    "allow repeats": (
        lambda study: study.update(allow_repeats=True),
        AFTER_FIT,
    ),
    "track by another tool": (
        lambda study: study.update(tracking="wandb"),
        Counter(),
    ),
    "allow a dearer study": (
        lambda study: study.update(budget={"core_hours": 2}),
        Counter(),
    ),
}


@pytest.mark.parametrize("name", STUDY_EDITS)
def test_edit_of_the_study(name: str, finished: Project, tmp_path: Path) -> None:
    edit, expected = STUDY_EDITS[name]
    assert finished.asked(edited_study(edit), tmp_path / "study.yaml").planned() == expected


CODE_EDITS: dict[str, tuple[str, str, Counter[str]]] = {
    "edit a law": ("src/scalebed/laws/tied.py", "# x\n", FROM_FIT),
    "edit a task": (
        "src/scalebed/evaluate/tasks/cloze/order4.yaml",
        "# x\n",
        Counter(evaluate_tasks=CELLS) + AFTER_CELLS,
    ),
    "edit a figure": (
        "src/scalebed/report/figures/error_vs_loss.py",
        "# x\n",
        Counter(plot_figure=1, write_report=1),
    ),
    "edit the style of figures": (
        "src/scalebed/report/figures/style.py",
        "# x\n",
        Counter(plot_figure=len(FIGURES), write_report=1),
    ),
    "edit the report": ("src/scalebed/report/page.py", "# x\n", Counter(write_report=1)),
    "comment the trainer": ("src/scalebed/train/loop.py", "# x\n", Counter()),
    "comment the model": ("src/scalebed/model/decoder.py", "# x\n", Counter()),
    "change an environment": ("envs/train.yaml", "# x\n", Counter()),
}


@pytest.mark.parametrize("name", CODE_EDITS)
def test_edit_of_the_code(name: str, checkout: Project) -> None:
    file, text, expected = CODE_EDITS[name]
    append(checkout.root / file, text)
    assert checkout.planned() == expected


def test_bump_of_the_numerics(checkout: Project) -> None:
    recipes = checkout.root / "src/scalebed/core/arithmetic.py"
    text = recipes.read_text(encoding="utf-8")
    assert "\nNUMERICS = " in text
    recipes.write_text(text.replace("\nNUMERICS = ", "\nNUMERICS = 1000 + "), encoding="utf-8")
    assert checkout.planned() == cells(CELLS) + AFTER_CELLS


def test_new_text_is_noticed(checkout: Project) -> None:
    append(checkout.root / "text/rules.jsonl", '{"id": "rules-new", "text": "One more rule."}\n')
    planned = checkout.planned()
    assert planned["extract_corpus"] == 1
    assert planned["train_cell"] == CELLS, "the tokenizer is trained on the new text as well"


def test_touching_every_file_reruns_nothing(checkout: Project) -> None:
    files = [file for file in checkout.root.rglob("*") if ".snakemake" not in file.parts]
    assert len(files) > 100
    for file in files:
        os.utime(file)
    assert checkout.planned() == Counter()


def test_a_fresh_clone_over_existing_results_reruns_nothing(
    finished: Project, tmp_path: Path
) -> None:
    clone = Project.create(tmp_path / "clone")
    shutil.rmtree(clone.root / "text")
    shutil.copytree(finished.root / "text", clone.root / "text")
    shutil.copytree(finished.root / "results", clone.root / "results")
    assert clone.planned() == Counter()


def test_results_of_before_tokens_were_checked_are_checked_and_stay(checkout: Project) -> None:
    (checkout.root / "results/studies/tiny/tokens.json").unlink()
    assert checkout.planned() == Counter(check_tokens=1)


def test_permission_to_repeat_retrains_only_what_was_refused(checkout: Project) -> None:
    record = checkout.cell("both", "8k", 4) / "metrics.json"
    facts = json.loads(record.read_text())
    refused = f"the cell needs 2 tokens, but data set both has 1 and {NOT_ALLOWED}"
    write_json(record, facts | {"status": "failed", "reason": refused})
    checkout.write_study(edited_study(lambda study: study.update(allow_repeats=True)))
    assert checkout.planned() == cells(1) + AFTER_CELLS
    plan = checkout.plan("--json")
    stale = [cell for cell in json.loads(plan.stdout)["cells"] if cell["state"] == "stale"]
    assert [(cell["dataset"], cell["reason"]) for cell in stale] == [
        ("both", "allow_repeats: none -> true")
    ]


def test_deleting_the_output_of_one_cell_retrains_that_cell_alone(checkout: Project) -> None:
    shutil.rmtree(checkout.cell("both", "8k", 4))
    planned = checkout.planned()
    assert planned == cells(1) + AFTER_CELLS
