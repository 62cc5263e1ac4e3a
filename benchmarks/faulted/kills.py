"""Kill a small study at random moments, let it run again until it ends, and compare.

The study is made in FOLDER, with the tests' text, and runs there once undisturbed. Each round is a
copy without results. Whenever a job starts, a draw from the seed, the round, the job and how often
it has started says whether something is killed, what, by which signal and when: so every rule has
its kills, and the same seed has the same ones as far as the same jobs run. Afterwards Snakemake is
started again as a user would, after ``--unlock`` where it is locked, until the study ends.

A fault is another number, another weight, a file left behind or missing or without its digest, a
process or a lock left, a training that had ended and was done again, a traceback, a job that fails
though nothing killed it, and a study that does not go on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import killed
from disturbed import SIGNALS, TARGETS, Round


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--count", type=int, default=500, help="kills, at the least")
    parser.add_argument("--minutes", type=float, default=1e9, help="after these nothing is killed")
    parser.add_argument("--log", type=Path, help="file that gets a line of JSON for each kill")


def run(args: argparse.Namespace) -> int:
    """Print a table of what was killed and what came of it; go on where the log ends."""
    folder: Path = args.folder.absolute()
    log: Path = args.log or folder / "kills.jsonl"
    until = time.monotonic() + 60 * args.minutes
    reference = undisturbed(folder)
    done = settled(log)
    number = 1 + max((line["round"] for line in done if line["seed"] == args.seed), default=-1)
    while counted(done) < args.count and time.monotonic() < until:
        # What an ended campaign left there may run for a moment yet.
        work = folder / f"round-{number}-{os.getpid()}"
        killed.stripped(folder / "whole", work)
        one = Round(work, reference, args.seed, number, until, log)
        one.run()
        if not one.faults:
            shutil.rmtree(work)
        done, number = settled(log), number + 1
    print(report(done))
    return 1 if any(line.get("faults") for line in done) else 0


def undisturbed(folder: Path) -> killed.Reference:
    """Return what the study gives when nothing is killed; it runs unless it has."""
    whole = folder / "whole"
    if not whole.exists():
        killed.make(whole)
    one = Round(whole, None, 0, -1, 0.0, folder / "whole.jsonl")
    one.run()
    if one.faults:
        raise SystemExit(f"the study fails undisturbed: {one.faults}")
    return killed.Reference(whole)


def settled(log: Path) -> list[dict[str, Any]]:
    """Return the lines of rounds that came to their end."""
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    held: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for line in map(json.loads, text.splitlines()):
        if "begins" in line:
            held = []
        held.append(line)
        if "faults" in line:
            found += held
            held = []
    return found


def counted(lines: Sequence[dict[str, Any]]) -> int:
    """Return how many kills there are among lines of the log."""
    return sum("target" in line for line in lines)


def report(lines: Sequence[dict[str, Any]]) -> str:
    """Return the counts as text."""
    kills = [line for line in lines if "target" in line]
    ends = [line for line in lines if "faults" in line]
    head = [f"{'':20}" + "".join(f"{name:>8}" for name in SIGNALS) + f"{'all':>8}"]
    rows = [*TARGETS, *sorted({kill["rule"] for kill in kills}), "all"]
    for row in rows:
        own = [kill for kill in kills if row in (kill["target"], kill["rule"], "all")]
        by = Counter(kill["signal"] for kill in own)
        head.append(f"{row:20}" + "".join(f"{by[name]:8}" for name in SIGNALS) + f"{len(own):8}")
    faults = [f"round {end['round']}: {fault}" for end in ends for fault in end["faults"]]
    runs = sum(end["runs"] for end in ends)
    said = f"{len(kills)} kills in {len(ends)} studies, {runs} runs, {len(faults)} faults"
    return "\n".join([*head, *faults, said])
