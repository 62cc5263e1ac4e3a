"""The campaign of kills: what it draws, which processes it finds, what it counts.

The campaign itself is ``python benchmarks/faults.py kills``, see docs/reliability.md.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from project import REPOSITORY, Project

sys.path.append(str(REPOSITORY / "benchmarks/faulted"))

from disturbed import (
    EVERYTHING,
    GROUP,
    SIGNALS,
    STARTS,
    TARGETS,
    Plan,
    Round,
    Run,
    drawn,
    tracebacks,
)
from killed import Reference, ended, make, trained_again
from kills import counted, settled
from processes import JOB, VARIABLE, Processes

LOG = "train_cell/dataset=tales/size=6k.log"


def test_a_run_of_its_study_is_killed_and_can_be_planned_again(
    tmp_path: Path, finished: Project
) -> None:
    make(tmp_path / "study")
    reference = Reference(finished.root)
    one = Round(tmp_path / "study", reference, 0, 0, float("inf"), tmp_path / "log.jsonl")
    run = Run(one, random.Random(0))
    run.early = Plan(GROUP, "SIGKILL", 0.3)
    with one.temporary:
        code = run.until_it_ends()
        assert code == -signal.SIGKILL, run.said
        assert (run.kills[-1]["target"], run.kills[-1]["signal"]) == (GROUP, "SIGKILL")
        status, said = one.snakemake("--dry-run")
        assert (status, one.left(), one.faults) == (0, [], []), said
    assert "train_cell" in said


def test_kills_are_of_all_kinds_the_same_again_and_end() -> None:
    plans = [drawn(1, number, LOG, 0) for number in range(500)]
    assert plans == [drawn(1, number, LOG, 0) for number in range(500)]
    made = [plan for plan in plans if plan is not None]
    assert set(Counter(plan.target for plan in made)) == set(TARGETS)
    assert {plan.signal for plan in made} == set(SIGNALS)
    assert {plan.signal for plan in made if plan.target == EVERYTHING} == {"SIGKILL"}
    assert 0.2 < sum(plan.share > 0.5 for plan in made) / len(made) < 0.8
    assert not any(drawn(1, number, LOG, STARTS) for number in range(100))


def test_the_processes_of_a_run_are_found_and_no_others(tmp_path: Path) -> None:
    log = tmp_path / "logs" / LOG
    log.parent.mkdir(parents=True)
    found = Processes("here", tmp_path)
    words = [sys.executable, "-c", "input()", "-m", "scalebed"]
    started = []
    with log.open("w") as out:
        for word in ("here", "elsewhere"):
            environment = os.environ | {VARIABLE: word}
            started.append(
                subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=out)
            )
        # One that is about to become Python is found as nothing yet.
        while [one.kind for one in found.now()] != [JOB]:
            time.sleep(0.01)
    (one,) = found.now()
    assert (one.pid, one.job, one.parent) == (started[0].pid, LOG, os.getpid())
    for process in started:
        process.communicate(b"\n")
    assert found.now() == []


def test_tracebacks_are_of_the_package_and_not_of_a_python_that_starts() -> None:
    head, ours = "Traceback (most recent call last):\n", '  File "/src/scalebed/x.py", line 1\n'
    starting = head + '  File "<frozen runpy>", line 15\nKeyboardInterrupt\n'
    assert tracebacks("all is well, says scalebed\n") == []
    assert tracebacks(starting + "scalebed\n") == []
    assert tracebacks(starting + head + ours + "ValueError: 1\nmore\n") == ["ValueError: 1"]
    assert tracebacks(head + ours) == ["cut off"]


def test_only_rounds_that_came_to_their_end_count(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert settled(log) == []
    begins, kill, end = {"begins": ""}, {"target": "job"}, {"faults": []}
    # A campaign that is started again begins the round it was in anew.
    lines = [begins, kill, kill, end, begins, kill, begins, kill, end, begins, kill]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert counted(settled(log)) == 3


def test_a_training_that_is_done_again_is_noticed(tmp_path: Path) -> None:
    cell = "dataset=tales/size=6k/ratio=2/recipe=base/seed=0"
    record, weights = (
        tmp_path / "state" / cell / "0123/metrics.json",
        tmp_path / "results/cells" / cell / "model.safetensors",
    )
    for path in (record, weights):
        path.parent.mkdir(parents=True)
        path.touch()
    before = ended(tmp_path)
    assert list(before) == [f"results/cells/{cell}/model.safetensors"]
    assert trained_again(tmp_path, before) == []
    weights.replace(weights.with_name("old"))
    weights.touch()
    assert trained_again(tmp_path, before) == list(before)
