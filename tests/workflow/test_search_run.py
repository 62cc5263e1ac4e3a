"""A tiny search from text to its ladder, and what reruns after an edit of it."""

import copy
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from project import REPOSITORY, STUDY, Project

RUNS = 8
AFTER_LADDER = Counter(gather_study=1, explore=1, plot_figure=1, write_report=1)
AFTER_CELLS = Counter(tabulate_cells=1, choose_ladder=1) + AFTER_LADDER

SEARCH: dict[str, Any] = {
    "name": "hunt",
    "title": "A search small enough for a test",
    **{name: STUDY[name] for name in ("corpora", "tokenizers", "datasets", "tasks")},
    "validation": {"yardstick": {"corpus": "yardstick", "max_tokens": 4000}},
    "search": {
        "dataset": "tales",
        "loss": "yardstick",
        "ratio": 2,
        "architectures": [
            {"widths": [8, 12, 16, 20], "layers": [1], "heads": [1]}
            | {"vocab": 300, "context": 64, "ffn_multiple": 8}
        ],
        "batch_sequences": [4],
        "warmup_steps": [5],
        # The second one diverges, or is at least no good.
        "lr": [2e-2, 1e3],
        "ladder": {
            "rungs": [{"params": 5.5e3}, {"params": 1.1e4}, {"params": 3e4}],
            "over_train": 4,
        },
    },
    "bootstrap": {"draws": 200},
}


def edited(edit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Return the tiny search after an edit."""
    study = copy.deepcopy(SEARCH)
    edit(study)
    return study


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose search has run to its report; tests must leave it as it is."""
    project = Project.create(tmp_path_factory.mktemp("searched") / "project")
    project.write_study(SEARCH)
    project.make()
    return project


@pytest.fixture
def checkout(searched: Project, tmp_path: Path) -> Project:
    """Return a copy of the finished project, times and Snakemake's records included."""
    shutil.copytree(searched.root, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


def test_the_runs_are_in_the_database(searched: Project) -> None:
    folder = searched.root / "results/studies/hunt"
    assert searched.planned() == Counter()
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "The proposed ladder" in report
    with duckdb.connect(str(folder / "study.duckdb"), read_only=True) as connection:
        runs = connection.execute("SELECT * FROM search ORDER BY lr, params").df()
        joined = connection.execute(
            "SELECT count(*) FROM search JOIN cells USING (cell)"
        ).fetchone()
        rungs = connection.execute("SELECT * FROM search_rungs ORDER BY params").df()
        best = connection.execute(
            "SELECT min(loss) FROM losses WHERE validation = 'yardstick'"
        ).fetchone()
    assert len(runs) == RUNS
    assert joined == (RUNS,)
    assert not runs["frontier"][4:].any()
    assert best == (runs["loss"][runs["frontier"]].min(),)
    assert list(rungs["searched"]) == [True, True, False]


def test_the_ladder_is_a_study_that_shares_the_runs(searched: Project) -> None:
    ladder = "results/studies/hunt/search/ladder.yaml"
    result = searched.plan(study=ladder)
    assert result.returncode == 0, result.stdout + result.stderr
    # Two rungs were run on one of the two data sets; the other cells are to be trained.
    assert "study hunt_ladder: 8 cells (2 done, 6 missing), 6 to train" in result.stdout
    shown = searched.scalebed(
        "show-predictions", "--database", f"{Path(ladder).parents[1]}/study.duckdb"
    )
    assert shown.returncode == 0, shown.stderr
    assert "NOT SEARCHED" in shown.stdout
    assert "ladder.yaml" in shown.stdout
    assert Project(searched.root, ladder).planned()["train_cell"] == 6


EDITS: dict[str, tuple[Callable[[dict[str, Any]], None], Counter[str]]] = {
    "filter the frontier": (
        lambda study: study["search"].update(filter={"max_steps": 10**6}),
        Counter(choose_ladder=1) + AFTER_LADDER,
    ),
    "ask for other rungs": (
        lambda study: study["search"].update(ladder={"count": 2}),
        Counter(choose_ladder=1) + AFTER_LADDER,
    ),
    "add a learning rate": (
        lambda study: study["search"]["lr"].append(1e-2),
        Counter(train_cell=4, evaluate_losses=4, list_cells=1) + AFTER_CELLS,
    ),
    "add a width": (
        lambda study: study["search"]["architectures"][0]["widths"].append(24),
        Counter(train_cell=2, evaluate_losses=2, list_cells=1, check_tokens=1) + AFTER_CELLS,
    ),
    "leave a run out": (
        lambda study: study["search"].update(exclude=[{"widths": [8], "lr": [1e3]}]),
        Counter(list_cells=1) + AFTER_CELLS,
    ),
    "change what is fixed": (
        lambda study: study["search"].update(recipe={"z_loss": 0.0}),
        Counter(train_cell=RUNS, evaluate_losses=RUNS) + AFTER_CELLS,
    ),
    "change the title": (lambda study: study.update(title="Another heading"), AFTER_LADDER),
    "allow a dearer search": (lambda study: study.update(budget={"core_hours": 2}), Counter()),
    "change an option of a figure": (
        lambda study: study.update(figures={"search_funnel": {"width": 300}}),
        Counter(plot_figure=1, write_report=1),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_edit_of_the_search(name: str, searched: Project, tmp_path: Path) -> None:
    edit, expected = EDITS[name]
    assert searched.asked(edited(edit), tmp_path / "study.yaml").planned() == expected


def test_an_edit_of_the_choice_trains_nothing(checkout: Project) -> None:
    file = checkout.root / "src/scalebed/search/rungs.py"
    file.write_text(file.read_text(encoding="utf-8") + "# x\n", encoding="utf-8")
    assert checkout.planned() == Counter(choose_ladder=1) + AFTER_LADDER


@pytest.mark.parametrize(("name", "runs"), [("search", 60), ("gadre2024_search", 435)])
def test_plan_of_a_shipped_search(name: str, runs: int, project: Project) -> None:
    project.write_study_file(REPOSITORY / f"config/studies/{name}.yaml")
    planned = project.planned()
    assert planned["train_cell"] == planned["evaluate_losses"] == runs
    assert planned["choose_ladder"] == planned["write_report"] == 1
    assert planned["fit_laws"] == planned["evaluate_tasks"] == 0


def test_the_plan_of_the_paper_s_search_states_its_cost(project: Project) -> None:
    study = "config/studies/gadre2024_search.yaml"
    result = project.plan("--summary", study=study)
    assert result.returncode == 0, result.stderr
    assert "435 cells (435 missing), 435 to train" in result.stdout
    assert "training: 1.173e21 FLOPs" in result.stdout


def test_a_search_that_cannot_be_is_refused_before_anything_runs(project: Project) -> None:
    project.write_study(edited(lambda study: study["search"].update(lr=[])))
    status, said = project.forked()
    assert status != 0
    assert "search.lr: List should have at least 1 item" in said
    assert not (project.root / "results").exists()
