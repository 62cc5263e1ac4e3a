"""One trial of a job that is hindered: what it does, what it leaves, and whether it heals."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import afterwards
import machine
import rule_jobs
from hindrances import Hindrance, Make, Place
from rule_jobs import Ended, Job

_CRASHES = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGTRAP, 127)
DONE, SAID, KILLED, FAULT = "done", "said", "killed", "FAULT"


def undisturbed(root: Path, base: Path, said: Path, job: Job) -> Place:
    """Return the place of a job after running it once; its numbers have to be the same again."""
    files = rule_jobs.written(base, job)
    values = machine.apart(afterwards.values, base, base, files)
    sizes = sum((base / path).stat().st_size for path in files)
    _forget(root, files)
    ended = rule_jobs.run(root, job.words, said)
    place = Place(root, base, sizes, ended.seconds, values)
    wrong = _not_done(ended, place)
    machine.apart(afterwards.restore, base, root)
    if wrong:
        raise RuntimeError(f"{job.verb} without any condition: {wrong}: {ended.said}")
    return place


def one(
    place: Place, said: Path, job: Job, make: Make, draw: random.Random
) -> tuple[str, str, str]:
    """Hinder one job and return what was drawn, what came of it and what was said."""
    _prepare(place, said, job, draw)
    try:
        with make(place, job, draw) as hindrance:
            began = time.monotonic()
            process = rule_jobs.begin(place.root, job.words, said, hindrance.inside)
            hindrance.beside(process)
            ended = rule_jobs.end(process, said, began)
            wrong = _not_done(ended, place) if ended.status == 0 else None
        what, wrong = judged(ended, hindrance, wrong)
        for other in hindrance.others:
            wrong = wrong or judged(other, hindrance, None)[1]
        if ended.status != 0:
            if what == KILLED:
                _sweep(place.root)
            wrong = wrong or _left(place) or _not_healed(place, said, job)
        text = f"{wrong}: {ended.said}" if wrong else _sentence(ended.said)
        return hindrance.told, FAULT if wrong else what, text
    finally:
        machine.apart(afterwards.restore, place.base, place.root)


def _prepare(place: Place, said: Path, job: Job, draw: random.Random) -> None:
    """Delete what a job writes; a training may have begun, or be over with its record lost."""
    _forget(place.root, [*place.values])
    if job.verb != "train-cell" or draw.random() < 0.4:
        return
    began = time.monotonic()
    process = rule_jobs.begin(place.root, job.words, said, lambda: None)
    time.sleep(1.3 * draw.random() * place.seconds)
    os.kill(process, signal.SIGTERM)
    rule_jobs.end(process, said, began)
    _forget(place.root, job.outputs)


def judged(ended: Ended, hindrance: Hindrance, wrong: str | None) -> tuple[str, str | None]:
    """Return what the end of a job is, and what is wrong with it."""
    if "Traceback" in ended.said:
        return FAULT, "a traceback"
    if ended.status == 0:
        return DONE, wrong
    if ended.status in (-9, -14):
        return KILLED, "no end" if ended.status == -14 else None
    if ended.status in _CRASHES and "emory" in hindrance.words:
        # A library, or the loader, gets no memory and ends the process: ours says nothing then.
        return KILLED, None
    lines = [line for line in ended.said.splitlines() if ": error: " in line]
    if len(lines) != 1:
        return FAULT, f"status {ended.status} without one sentence"
    if hindrance.words and not any(word in lines[0] for word in hindrance.words):
        return FAULT, f"the sentence has none of {', '.join(hindrance.words)}"
    return SAID, None


def _sentence(said: str) -> str:
    return "\n".join(line for line in said.splitlines() if ": error: " in line)


def _forget(root: Path, files: Sequence[Path]) -> None:
    """Delete files and their digests."""
    for path in files:
        (root / path).unlink(missing_ok=True)
        (root / path).with_name(f".{path.name}.sha256").unlink(missing_ok=True)


def _not_done(ended: Ended, place: Place) -> str | None:
    """Return what is wrong with a job that did its work; None if nothing is."""
    if ended.status:
        return f"status {ended.status}"
    found = machine.apart(afterwards.values, place.root, place.base, [*place.values])
    if missing := [str(path) for path in place.values if path not in found]:
        return f"status 0 without {', '.join(missing)}"
    if other := [str(path) for path, value in found.items() if value != place.values[path]]:
        return f"other values in {', '.join(other)}"
    junk = afterwards.junk(afterwards.names(place.root))
    return f"status 0 and left {', '.join(junk)}" if junk else None


def _sweep(root: Path) -> None:
    """Remove temporary files, which who is killed cannot."""
    for name in afterwards.junk(afterwards.names(root)):
        (root / name).unlink()


def _left(place: Place) -> str | None:
    """Return what a job that failed left and should not have."""
    if junk := afterwards.junk(afterwards.names(place.root)):
        return f"left {', '.join(junk)}"
    found = machine.apart(afterwards.values, place.root, place.base, [*place.values])
    fine = {path: (value, afterwards.REFUSED) for path, value in place.values.items()}
    other = [str(path) for path, value in found.items() if value not in fine[path]]
    return f"taken for whole: {', '.join(other)}" if other else None


def _not_healed(place: Place, said: Path, job: Job) -> str | None:
    """Run a job again as Snakemake would, without anything in its way; return what is wrong."""
    _forget(place.root, job.outputs)
    machine.apart(_bring_back, place)
    wrong = _not_done(rule_jobs.run(place.root, job.words, said), place)
    return f"not healed, {wrong}: {said.read_text(errors='replace')}" if wrong else None


def _bring_back(place: Place) -> None:
    """Bring back what others have to make, as a run would."""
    for path in afterwards.names(place.base) - set(place.values):
        if not (place.root / path).exists() and not path.name.startswith("."):
            for name in (path, path.with_name(f".{path.name}.sha256")):
                if (place.base / name).exists() and not (place.root / name).exists():
                    (place.root / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(place.base / name, place.root / name)
