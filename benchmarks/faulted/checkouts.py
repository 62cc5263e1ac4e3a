"""A checkout whose small study has run, in which one cell is made anew under some condition."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

import machine
from healings import environment, numbers, verify

DONE, SAID, FAULT = "done", "said", "FAULT"
SKEW = "clock skew"
"""What Snakemake says where an output is older than an input."""


class Checkout(NamedTuple):
    """A checkout on a disk of its own in memory, with what its study gave before."""

    root: Path
    study: str
    before: dict[str, Any]


class Run(NamedTuple):
    """How a run ended."""

    status: int
    said: str


def start(place: Checkout, *words: str, **more: str) -> subprocess.Popen[str]:
    """Start a run with words before the usual ones and variables in its environment."""
    command = [*words, "--cores", "2", "--configfile", place.study]
    return subprocess.Popen(
        command,
        cwd=place.root,
        env=environment() | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
    )


def end(process: subprocess.Popen[str]) -> Run:
    """Wait for a run."""
    said = process.communicate(timeout=1800)[0]
    return Run(process.returncode, said)


def run(place: Checkout, *words: str, **more: str) -> Run:
    """Run the study; `words` begin with the command."""
    return end(start(place, *(words or ("snakemake",)), **more))


def forget_cell(place: Checkout, draw: random.Random) -> Path:
    """Delete a cell and its state, so that it and all that follows is made anew; its folder."""
    record = draw.choice(sorted(place.root.glob("results/cells/**/metrics.json")))
    folder = record.parent.relative_to(place.root)
    shutil.rmtree(record.parent)
    shutil.rmtree(place.root / "state" / folder.relative_to("results/cells"), ignore_errors=True)
    return folder


def healed(place: Checkout) -> str | None:
    """Run the study to its end without anything in its way; return what is wrong then."""
    last = run(place)
    if last.status and "--unlock" in last.said:
        run(place, "snakemake", "--unlock")
        last = run(place)
    if last.status and SKEW in last.said:
        _bring_to_now(place.root)
        last = run(place)
    if last.status:
        return f"the next run failed: {last.said[-2000:]}"
    if left := verify(place.root):
        return f"damaged: {left}"
    after = machine.apart(numbers, place.root)
    other = [name for name, value in place.before.items() if after[name] != value]
    if other:
        return f"other numbers in {', '.join(other)}"
    planned = run(place, "snakemake", "--dry-run").said
    return None if "Nothing to be done" in planned else f"not done yet: {planned[-2000:]}"


def _bring_to_now(root: Path) -> None:
    """Do what docs/reliability.md says of files from the future."""
    now = time.time()
    for path in (root / "results").rglob("*"):
        if path.is_file() and path.stat().st_mtime > now:
            os.utime(path)


def result(place: Checkout, told: str, ended: Run, wrong: str | None) -> tuple[str, str, str]:
    """Heal the study and return what was drawn, what came of it and what was said."""
    wrong = wrong or healed(place)
    if wrong:
        return told, FAULT, f"{wrong}: {ended.said}"
    return told, SAID if ended.status else DONE, ended.said[-1500:] if ended.status else ""
