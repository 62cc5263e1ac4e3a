"""Damage files of a small finished study, delete what `scalebed verify` names, and run it again.

The numbers have to be the same afterwards, and nothing damaged may be left. The study runs in a
copy of FOLDER, which takes some seconds of training for each model that was damaged.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from corruptions import damaged
from damage import files, put

import scalebed
from scalebed.tables.reader import StudyDatabase

NUMBERS = ("cells", "losses", "tasks", "curves", "fits", "fit_parameters", "predictions", "draws")
_TIMES = ("seconds", "wall_seconds", "tokens_per_second", "attempts", "git_commit", "peak_bytes")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--together", type=int, default=4, help="files damaged before each run")
    parser.add_argument("--study", default="study.yaml")


def run(args: argparse.Namespace) -> int:
    """Print a line for each damaged file and each run."""
    began, wrong = time.monotonic(), 0
    with tempfile.TemporaryDirectory(dir=args.folder.parent) as name:
        root = Path(name) / "project"
        shutil.copytree(args.folder, root, symlinks=True)
        before = numbers(root)
        draw = random.Random(f"heal {args.seed}")
        for number in range(0, args.count, args.together):
            paths = damage(root, draw, min(args.together, args.count - number))
            said = healed(root, args.study, paths, before)
            wrong += said is not None
            for way, path in paths:
                print(f"{way:9} {path}")
            print(
                f"  {said or 'the same numbers again'}, {time.monotonic() - began:.0f} s",
                flush=True,
            )
    print(f"seed {args.seed}: {args.count} damaged, {wrong} runs not healed")
    return 1 if wrong else 0


def damage(root: Path, draw: random.Random, count: int) -> list[tuple[str, Path]]:
    """Damage files of different kinds; return how and which."""
    kinds = files(root)
    done = []
    for kind in draw.sample(sorted(kinds), count):
        path = draw.choice(kinds[kind])
        way, changed = damaged(root, kinds[kind], path, draw)
        for file, content in changed.items():
            put(root / file, content)
            done.append((way, file))
    return done


def healed(
    root: Path, study: str, paths: list[tuple[str, Path]], before: dict[str, Any]
) -> str | None:
    """Delete what is named and run the study; return what is wrong then."""
    named = verify(root)
    known = {path for fault in named for path in [fault["path"], *fault["delete"]]}
    hidden = {str(file.with_name(file.name[1:].removesuffix(".sha256"))) for _, file in paths}
    if missing := [str(path) for _, path in paths if str(path) not in known | (hidden & known)]:
        return f"not named: {' '.join(missing)}"
    for fault in named:
        for path in fault["delete"]:
            (root / path).unlink(missing_ok=True)
    words = ["snakemake", "--cores", "2", "--configfile", study]
    result = subprocess.run(words, cwd=root, env=environment(), capture_output=True, text=True)
    if result.returncode:
        return f"the run failed: {(result.stdout + result.stderr)[-2000:]}"
    if left := verify(root):
        return f"still damaged: {left}"
    after = numbers(root)
    other = [name for name, value in before.items() if after[name] != value]
    return f"other numbers in {', '.join(other)}" if other else None


def verify(root: Path) -> list[dict[str, Any]]:
    """Return what `scalebed verify` says is damaged."""
    words = [sys.executable, "-m", "scalebed", "verify", "--json"]
    said = subprocess.run(words, cwd=root, env=environment(), capture_output=True, check=False)
    found: list[dict[str, Any]] = json.loads(said.stdout)["damaged"]
    return found


def environment() -> dict[str, str]:
    """Return an environment in which jobs use the code that runs here."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(Path(scalebed.__file__).parents[1])}


def numbers(root: Path) -> dict[str, Any]:
    """Return the tables of the only database, without what a clock or a machine tells."""
    (path,) = root.glob("results/studies/*/study.duckdb")
    with StudyDatabase(path) as database:
        frames = {name: database.frame(f"SELECT * FROM {name}") for name in NUMBERS}
    return {
        name: frame.drop(columns=[column for column in _TIMES if column in frame]).to_csv()
        for name, frame in frames.items()
    }
