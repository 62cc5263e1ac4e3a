"""What the cells of a study cost beside the arithmetic of their training.

    python benchmarks/overhead.py [--study config/config.yaml] [--cores 2] [--apart]

Runs the study's cells (training, losses, tasks) from nothing in a temporary copy of this checkout,
through `snakemake cells`, and prints the seconds of training steps that the cells record against
the wall time of that command times its cores, start and end of Snakemake included. Texts, tokens
and items are made before the clock starts. `--apart` gives every job a process of its own, as
SCALEBED_SHARE=0 does. Best on a machine that does nothing else: what others take from the cores
makes steps and everything else longer alike, so the ratio suffers less than the seconds do.

CPU seconds are those of Snakemake and of all it starts, servers included.
"""

import argparse
import ctypes
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "workflow", "profiles", "config", "envs", "src")
_PR_SET_CHILD_SUBREAPER = 36


def copy_checkout(folder: Path) -> None:
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / part, ignore=ignore, symlinks=True)
        else:
            shutil.copy(source, folder / part)


def snakemake(folder: Path, environment: dict[str, str], *words: str) -> None:
    with (folder / "snakemake.log").open("a") as log:
        subprocess.run(
            ["snakemake", *words], cwd=folder, env=environment, check=True, stdout=log, stderr=log
        )


def reap() -> float:
    """Wait for servers that outlive their starter; return the CPU seconds of all children."""
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def recorded(folder: Path) -> dict[str, float]:
    """Return the seconds that the records of the cells state, summed."""
    found = {"cells": 0.0, "steps": 0.0, "training": 0.0, "losses": 0.0, "tasks": 0.0}
    for file in (folder / "results/cells").rglob("metrics.json"):
        metrics = json.loads(file.read_text())
        found["cells"] += 1
        found["steps"] += metrics["seconds"]
        found["training"] += metrics["wall_seconds"]
        for name in ("losses", "tasks"):
            record = file.with_name(f"{name}.json")
            if record.exists():
                found[name] += json.loads(record.read_text())["seconds"]
    for trunk in (folder / "results/trunks").rglob("trunk=*"):
        states = [json.loads(file.read_text()) for file in trunk.glob("step=*/state.json")]
        # Seconds of a state are those of its trunk up to there.
        found["steps"] += max(state["seconds"] for state in states)
        found["training"] += max(state["wall_seconds"] for state in states)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, default=ROOT / "config/config.yaml")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--apart", action="store_true", help="a process of its own for every job")
    parser.add_argument("--keep", type=Path, help="work in this new folder and keep it")
    args = parser.parse_args()
    # Servers are nobody's children, so that they outlive the job that started them.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    folder = args.keep or Path(tempfile.mkdtemp(prefix="overhead-"))
    folder.mkdir(parents=True, exist_ok=True)
    copy_checkout(folder)
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    if args.apart:
        environment["SCALEBED_SHARE"] = "0"
    common = ("--cores", str(args.cores), "--configfile", str(args.study.resolve()))
    # `--until` stops at the rules it names, so data sets need a call of their own.
    for before in (("tokenize_corpus", "build_suite"), ("build_dataset",)):
        snakemake(folder, environment, "cells", "--until", *before, *common)
    cpu, load = reap(), os.getloadavg()[0]
    start = time.perf_counter()
    snakemake(folder, environment, "cells", *common)
    wall = time.perf_counter() - start
    cpu = reap() - cpu
    seconds = recorded(folder)
    print(f"{seconds['cells']:.0f} cells on {args.cores} cores, load before {load:.1f}")
    print(f"training steps {seconds['steps']:.1f} s, {seconds['steps'] / wall / args.cores:.1%} of")
    print(f"wall x cores   {wall * args.cores:.1f} s ({wall:.1f} s of wall time); {cpu:.1f} s CPU")
    rest = seconds["training"] - seconds["steps"]
    print(f"beside steps: training {rest:.1f} s, losses {seconds['losses']:.1f} s, ", end="")
    print(f"tasks {seconds['tasks']:.1f} s")
    if args.keep is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
