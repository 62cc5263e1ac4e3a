"""Do to the jobs of a finished study what machines do, and ask how they end and what they leave.

Each time the output of one job is deleted in a copy of the study, and its command runs while the
disk is full, files are limited, folders are read-only or somebody else's, files vanish, memory is
short, or results lie on layers of an overlay. A job may do its work all the same, or end with one
sentence that names the trouble, or be killed; a traceback, half a file that would be taken for
whole, other numbers, files that nobody asks for again, and a job that does not do its work
afterwards are faults. What this machine does not allow is left out, and the reason is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import hindrances
import machine
import rule_jobs
import spread
import whole_runs
from hindered import DONE, FAULT, KILLED, SAID, one, undisturbed
from hindrances import Make, Place
from whole_runs import RUNS

_MEGABYTES = 256


class Kind(NamedTuple):
    """A kind of condition."""

    make: Make
    without: tuple[Callable[[], str | None], ...]
    """Say why a machine cannot have it."""


_MOUNTS = machine.without_mounts
KINDS = {
    "full disk": Kind(hindrances.full_disk, (_MOUNTS,)),
    "file limit": Kind(hindrances.file_limit, ()),
    "read-only": Kind(hindrances.read_only, (_MOUNTS,)),
    "somebody else": Kind(hindrances.not_mine, (machine.without_root,)),
    "files vanish": Kind(hindrances.vanishing, ()),
    "little memory": Kind(hindrances.little_memory, ()),
    "memory killer": Kind(hindrances.killed_for_memory, (machine.without_cgroup,)),
    "overlay": Kind(hindrances.layered, (_MOUNTS,)),
    "job twice": Kind(hindrances.twice, ()),
}
"""By name; they come in turn."""


class Trial(NamedTuple):
    """What came of one condition."""

    number: int
    kind: str
    job: str
    told: str
    what: str
    said: str


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    spread.arguments(parser, 1000, "trial")
    parser.add_argument("--study", default="study.yaml")
    names = [*KINDS, *RUNS]
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=names, metavar="KIND")


def run(args: argparse.Namespace) -> int:
    """Print a table of the kinds and what came of them."""
    logging.disable(logging.WARNING)
    began = time.monotonic()
    args.kinds, left_out = possible(args.kinds)
    for name, reason in left_out.items():
        print(f"left out: {name}, for {reason}")
    args.jobs = rule_jobs.jobs(args.folder, args.study)
    trials = spread.spread(part, args)
    print(f"seed {args.seed}, {len(trials)} trials of {len({one.job for one in trials})} jobs")
    print(table(trials))
    faults = [trial for trial in trials if trial.what == FAULT]
    for trial in faults[:50]:
        print(f"{trial.number} {trial.kind}, {trial.job}, {trial.told}: {trial.said[-300:]}")
    print(f"{len(faults)} faults, {time.monotonic() - began:.0f} s")
    return 1 if faults else 0


def possible(kinds: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the kinds that this machine allows, and why it does not allow the others."""
    reasons = {
        name: reason
        for name in kinds
        for without in (KINDS | RUNS)[name].without
        if (reason := without())
    }
    return [name for name in kinds if name not in reasons], reasons


def part(args: argparse.Namespace, numbers: Sequence[int]) -> list[Trial]:
    """Return what came of the trials of one worker."""
    found = []
    with tempfile.TemporaryDirectory(dir=args.folder.parent) as name, _disk(Path(name) / "root"):
        for trial in campaign(args, Path(name), numbers):
            found.append(trial)
            spread.note(args.log, trial._asdict())
    return found


@contextlib.contextmanager
def _disk(root: Path) -> Iterator[None]:
    """Give a folder a disk of its own in memory, where that can be had."""
    root.mkdir()
    if machine.without_mounts():
        yield
        return
    machine.own_mounts()
    machine.mount("-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "none", root)
    try:
        yield
    finally:
        machine.unmount(root)


def table(trials: Sequence[Trial]) -> str:
    """Return the counts as text."""
    lines = [f"{'':14} {'trials':>7} {DONE:>7} {SAID:>7} {KILLED:>7} {'faults':>7}"]
    for kind in (*KINDS, *RUNS, "all"):
        counts = Counter(trial.what for trial in trials if kind in (trial.kind, "all"))
        each = (sum(counts.values()), *(counts[what] for what in (DONE, SAID, KILLED, FAULT)))
        lines.append(f"{kind:14} " + " ".join(f"{count:7}" for count in each))
    return "\n".join(lines)


def campaign(args: argparse.Namespace, work: Path, numbers: Sequence[int]) -> Iterator[Trial]:
    """Yield what came of trials; each is drawn from the seed and its own number.

    Parameters
    ----------
    args
        ``folder``, a checkout with a finished study, into which nothing is written; ``study``,
        ``jobs``, ``kinds`` that come in turn, and ``seed``.
    work
        Folder with an empty one, ``root``, where jobs run.
    numbers
        Which trials.
    """
    root, base = work / "root", work / "base"
    shutil.copytree(args.folder, base, symlinks=True)
    work.chmod(0o755)
    shutil.copytree(base, root, symlinks=True, dirs_exist_ok=True)
    if not set(args.kinds) <= set(RUNS):
        rule_jobs.load(work)
    known: dict[tuple[str, ...], Place] = {}
    for number in numbers:
        draw, name = random.Random(f"{args.seed} {number}"), args.kinds[number % len(args.kinds)]
        if name in RUNS:
            found = whole_runs.one(name, base, root, args.study, draw)
            yield Trial(number, name, "run", *found)
            continue
        verb = draw.choice(sorted({job.verb for job in args.jobs}))
        job = draw.choice([job for job in args.jobs if job.verb == verb])
        key = tuple(job.words)
        if key not in known:
            known[key] = undisturbed(root, base, work / "said", job)
        yield Trial(
            number, name, verb, *one(known[key], work / "said", job, KINDS[name].make, draw)
        )
