"""The words of a campaign whose trials are numbered, and its share among processes."""

import argparse
import json
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

_Found = TypeVar("_Found")


def arguments(parser: argparse.ArgumentParser, count: int, trial: str) -> None:
    """Declare the arguments."""
    parser.add_argument("--count", type=int, default=count)
    parser.add_argument("--first", type=int, default=0, help=f"number of the first {trial}")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--log", type=Path, help=f"file that gets a line of JSON for each {trial}")


def note(log: Path | None, trial: Mapping[str, Any]) -> None:
    """Add a trial to the log as a line of JSON, if there is a log."""
    if log:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(trial, default=str) + "\n")


def spread(
    part: Callable[[argparse.Namespace, Sequence[int]], list[_Found]], args: argparse.Namespace
) -> list[_Found]:
    """Return what came of all trials, each worker taking its part of the numbers."""
    numbers = range(args.first, args.first + args.count)
    parts = [(args, numbers[worker :: args.workers]) for worker in range(args.workers)]
    with multiprocessing.get_context("fork").Pool(args.workers) as pool:
        return [trial for found in pool.starmap(part, parts) for trial in found]
