"""The tiny study from text to report, and what goes wrong on the way."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import duckdb
import pytest
import yaml
from project import STUDY, Project

from scalebed.commands.cli import main
from scalebed.commands.shared_process import lifetime
from scalebed.study.figures import FIGURES

DATABASE = "results/studies/tiny/study.duckdb"


def test_the_study_ends_in_a_report_and_a_database(finished: Project) -> None:
    folder = finished.root / "results/studies/tiny"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "A study small enough for a test" in page
    assert "https://" not in page.replace("https://arxiv.org", "").split("<script", 1)[0]
    links = re.findall(r'<a href="(\.\./[^"]*)">(\w+)</a>', page)
    # Every cell leads to its record and to the log of its training.
    assert Counter(word for _, word in links) == {"record": 12, "log": 12}
    assert all((folder / link).is_file() for link, _ in links)
    with duckdb.connect(str(folder / "study.duckdb"), read_only=True) as database:
        count = database.execute("select count(*) from cells where status = 'done'").fetchone()
        assert count == (12,)
        rows = database.execute(
            "select dataset, predicted, lower, upper, measured from predictions_vs_measured "
            "where kind = 'loss' and response = 'yardstick' and role = 'target' order by dataset"
        ).fetchall()
    assert [row[0] for row in rows] == ["both", "tales"]
    for _, predicted, lower, upper, measured in rows:
        assert lower < predicted < upper
        assert measured is not None


def test_the_database_alone_predicts_what_the_folder_does(
    finished: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished.root / "results/studies/tiny"
    shutil.copy(folder / "study.duckdb", tmp_path)
    words = ("--target", "params=20k,tokens=400k", "--json")
    said = []
    for source in (folder, tmp_path / "study.duckdb"):
        assert main(["predict", str(source), *words]) == 0
        said.append(json.loads(capsys.readouterr().out))
    assert said[0] == said[1]
    assert [len(found["predictions"]) for found in said[0]] == [2, 2]
    with duckdb.connect(str(folder / "study.duckdb"), read_only=True) as database:
        count = database.execute(
            "select count(distinct dataset) from decisions where choice = 'optimum'"
        ).fetchone()
    assert count == (2,)


def test_small_jobs_share_processes(finished: Project) -> None:
    if not lifetime.possible():
        pytest.skip("sharing is off here: no pidfd, or a GPU")
    jobs = dict.fromkeys(("train_cell", "evaluate_losses", "evaluate_tasks"), 12)
    jobs |= {"extract_corpus": 3, "fit_laws": 1, "run_check": 4, "plot_figure": len(FIGURES)}
    for rule, count in jobs.items():
        logs = [path.read_text() for path in (finished.root / "logs" / rule).rglob("*.log")]
        assert len(logs) == count
        assert all("s of CPU, at most" in text for text in logs), rule


def test_long_cells_are_trained_first(finished: Project) -> None:
    # Named after the time; later ones are of tests that look at what is to do.
    log = min((finished.root / ".snakemake/log").glob("*.log")).read_text()
    text = yaml.safe_load((finished.root / "study.yaml").read_text())
    widths = {name: size["width"] for name, size in text["sizes"].items()}
    longest = [(16, 2), (10, 4), (12, 2), (10, 2), (8, 4), (8, 2)]
    rule = r"rule train_cell:.*?wildcards: dataset=(\w+), size=(\w+), ratio=(\d+)"
    order: dict[str, list[tuple[int, int]]] = {name: [] for name in text["datasets"]}
    for step in log.split("Select jobs to execute"):
        started = re.findall(rule, step, re.DOTALL)
        for name, cells in order.items():
            found = [(widths[size], int(ratio)) for cell, size, ratio in started if cell == name]
            # What a step starts on several cores starts at once, in whatever order.
            cells += sorted(found, key=longest.index)
    assert order == dict.fromkeys(text["datasets"], longest)


def test_every_training_is_told_to_the_tracker_of_the_study(finished: Project) -> None:
    told = {}
    for path in (finished.root / "tracked" / "tiny").iterdir():
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        told[rows[0]["name"]] = rows[-2]["step"], rows[-1]
    records = (finished.root / "results/cells").rglob("metrics.json")
    cells = {
        path.parent.relative_to(finished.root / "results/cells").as_posix(): json.loads(
            path.read_text()
        )
        for path in records
    }
    assert told == {name: (cell["steps"], {"finished": True}) for name, cell in cells.items()}


def test_predictions_are_printed(finished: Project) -> None:
    result = finished.scalebed("show-predictions", "--database", DATABASE)
    assert result.returncode == 0, result.stderr
    assert "15k" in result.stdout
    assert "without a model" not in result.stdout
    assert "report.html" in result.stdout


def test_the_plan_agrees_with_snakemake(finished: Project, tmp_path: Path) -> None:
    shutil.copytree(finished.root, tmp_path / "project", symlinks=True)
    project = Project(tmp_path / "project")
    study = json.loads(json.dumps(STUDY))
    study["recipes"]["base"]["sizes"] = {"8k": {"lr": 1e-2}}
    project.write_study(study)
    result = project.plan("--json")
    assert result.returncode == 0, result.stderr
    states = [cell["state"] for cell in json.loads(result.stdout)["cells"]]
    assert states.count("stale") == project.planned()["train_cell"] == 4
    with (project.root / "text/rules.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": "rules-new", "text": "One more rule."}\n')
    result = project.plan("--json")
    cells = json.loads(result.stdout)["cells"]
    assert all("rules: its text is another one" in cell["reason"] for cell in cells)
    assert len(cells) == project.planned()["train_cell"] == 12


def test_snakemake_writes_its_own_report(finished: Project, tmp_path: Path) -> None:
    target = tmp_path / "report.zip"
    finished.make("--report", str(target))
    assert target.stat().st_size > 10_000


@pytest.fixture
def tokenized(finished: Project, tmp_path: Path) -> Project:
    """Return a project that has its tokens and data sets, and in which no cell was trained."""
    project = Project(tmp_path / "project")
    shutil.copytree(finished.root, project.root, symlinks=True)
    for part in ("results/cells", "results/studies", "state", "logs"):
        shutil.rmtree(project.root / part)
    return project


CELL = "results/cells/dataset=tales/size=6k/ratio=2/recipe=base/seed=0/metrics.json"


def test_a_truncated_shard_is_named_and_healed(tokenized: Project) -> None:
    shard = next(tokenized.root.glob("results/tokens/bpe300/tales/train-*.bin"))
    os.truncate(shard, shard.stat().st_size - 100)
    status, said = tokenized.forked(CELL)
    assert status != 0
    assert shard.name in said
    assert not (tokenized.root / CELL).exists()
    tokenized.make(CELL)
    assert json.loads((tokenized.root / CELL).read_text())["status"] == "done"


def test_broken_text_is_named(project: Project) -> None:
    broken = {
        "tales": (b'{"id": "a", "text": "\xff"}\n', "tales.jsonl is not UTF-8"),
        "rules": (b"", "corpus rules is empty"),
        "yardstick": (b'{"id": "a", "words": "x"}\n', "yardstick.jsonl:1 has no field 'text'"),
    }
    for name, (text, _) in broken.items():
        (project.root / f"text/{name}.jsonl").write_bytes(text)
    status, output = project.forked(*(f"results/corpora/{name}/manifest.json" for name in broken))
    assert status != 0
    assert "Traceback" not in output
    for name, (_, said) in broken.items():
        log = (project.root / f"logs/extract_corpus/{name}.log").read_text(encoding="utf-8")
        (sentence,) = (line for line in log.splitlines() if "error: " in line)
        assert said in sentence
        assert sentence in output
        assert not list((project.root / f"results/corpora/{name}").glob("*"))


def test_missing_text_is_named(project: Project) -> None:
    (project.root / "text/tales.jsonl").unlink()
    status, said = project.forked("results/corpora/tales/manifest.json")
    assert status != 0
    assert "text/tales.jsonl" in said


def test_a_results_folder_that_cannot_be_written_is_named(project: Project) -> None:
    (project.root / "results").write_text("a file in the way")
    result = project.scalebed(
        "list-cells", "--params", '{"study": "x", "cells": []}', "--out", "results/x/cells.tsv"
    )
    assert result.returncode == 2
    assert "results" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_corpus_smaller_than_the_cell_needs_is_refused(tokenized: Project) -> None:
    study = json.loads(json.dumps(STUDY))
    study["grid"][2]["ratios"] = [500]
    tokenized.write_study(study)
    result = tokenized.plan()
    assert result.returncode == 2
    assert "ratio=500" in result.stderr


def test_too_few_tokens_stop_the_study_before_anything_trains(project: Project) -> None:
    study = json.loads(json.dumps(STUDY))
    study["grid"][2]["ratios"] = [500]
    project.write_study(study)
    # The plan cannot know yet.
    result = project.plan()
    assert result.returncode == 0, result.stderr
    status, text = project.forked("cells")
    assert status != 0
    said = [line for line in text.splitlines() if "study tiny: " in line]
    for dataset in ("tales", "both"):
        cell = f"dataset={dataset}/size=15k/ratio=500/recipe=base/seed=0 needs"
        assert any(cell in line and f"data set {dataset} has" in line for line in said), said
    assert not (project.root / "results/cells").exists()
    assert not (project.root / "logs/train_cell").exists()
    study["allow_repeats"] = True
    project.write_study(study)
    assert "check_tokens" not in project.planned("cells")


def test_an_unknown_key_stops_the_workflow_before_anything_runs(project: Project) -> None:
    study = json.loads(json.dumps(STUDY))
    study["recipes"]["base"]["learning_rate"] = 1
    project.write_study(study)
    status, said = project.forked("--dry-run")
    assert status != 0
    assert "recipes.base.learning_rate: unknown key" in said


def test_a_killed_study_goes_on_where_it_was(finished: Project, tokenized: Project) -> None:
    process = subprocess.Popen(
        ["snakemake", CELL, "--cores", "1", "--configfile", "study.yaml"],
        cwd=tokenized.root,
        env=tokenized.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    log = tokenized.root / "logs/train_cell/dataset=tales/size=6k/ratio=2/recipe=base/seed=0.log"
    deadline = time.monotonic() + 60
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    tokenized.make("--unlock")
    tokenized.make(CELL)
    ours = json.loads((tokenized.root / CELL).read_text())
    undisturbed = json.loads((finished.root / CELL).read_text())
    assert ours["weights_sha256"] == undisturbed["weights_sha256"]


def test_a_diverged_cell_does_not_stop_the_study(tmp_path: Path, finished: Project) -> None:
    shutil.copytree(finished.root, tmp_path / "project", symlinks=True)
    project = Project(tmp_path / "project")
    study = json.loads(json.dumps(STUDY))
    # Without clipping, warm-up or an end to the learning rate, the 15k cells blow up.
    wild = {"lr": 1e9, "lr_end": 1e9, "warmup_fraction": 0.0, "grad_clip": 1e9}
    study["recipes"]["base"]["sizes"] = {"15k": wild}
    # Without calibration, which takes longest and sees no target.
    study["checks"] = ["decisions", "reliability", "contrasts"]
    project.write_study(study)
    # Of the figures that of the curves alone; the invented study, of which all are drawn in other
    # tests, and its report, has a diverged cell too.
    result = project.snakemake(DATABASE, "results/studies/tiny/figures/training_curves.svg")
    assert result.returncode == 0, result.stdout + result.stderr
    shown = project.scalebed("show-predictions", "--database", DATABASE)
    assert shown.returncode == 0, shown.stderr
    # Named with their reasons by both, at their ends.
    named = r"2 of 12 cells are without a model.*\n(  dataset=\w+/size=15k/.*: diverged: .*\n){2}"
    assert re.search(named + r"Complete log", result.stderr)
    assert re.search(rf"database .*\n\n{named}\Z", shown.stdout)
    rows = [line for line in shown.stdout.splitlines() if re.match(r"(both|tales) +15k", line)]
    assert len(rows) == 4
    assert all(re.search(r"diverged: the loss or gradient of step \d+ is not", row) for row in rows)
    path = str(project.root / DATABASE)
    with duckdb.connect(path, read_only=True) as database:
        rows = database.execute(
            "select size, status, count(*) from cells group by all order by all"
        ).fetchall()
        fitted = database.execute("select count(*) from fits where status = 'fitted'").fetchone()
    assert ("15k", "diverged", 2) in rows
    assert fitted is not None and fitted[0] > 0


def test_python_runs_the_command_line(finished: Project) -> None:
    result = finished.run(sys.executable, "-m", "scalebed", "--version")
    assert result.returncode == 0
