"""Which tests a mutant meets: those of its room."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mutated.operators import Mutant

# What compiled code calls is seen by no tracer: the tests that hold kernels against NumPy.
COMPILED = "fit/solvers/kernels/"
KERNELS = ("test_kernels", "test_fit_engine", "test_fit_general", "test_fit_robust")


def room(path: str) -> str:
    """Return the room of a module: its first folder; what lies beside the rooms is commands'."""
    return path.partition("/")[0] if "/" in path else "commands"


def tests_of(mutant: Mutant, tree: Path, work: Path, whole: bool) -> list[str]:
    """Return the tests for a mutant: files that name its module first, then by how long they are.

    Of a file that was recorded these are the tests that call its function; of others, all.
    """
    folder = tree / "tests/unit" / room(mutant.path)
    module = f"scalebed/{mutant.path}".removesuffix(".py").removesuffix("/__init__")
    dotted, _, last = module.replace("/", ".").rpartition(".")
    named = re.compile(rf"{dotted}\.{last}\b|from {dotted} import .*\b{last}\b")
    found = []
    for file in folder.glob("test_*.py"):
        text, name = file.read_text(), file.relative_to(tree).as_posix()
        out = record_of(work, name)
        tests = (
            [name] if whole or not out.exists() else _calling(mutant, json.loads(out.read_text()))
        )
        if mutant.path.startswith(COMPILED) and not file.stem.startswith(KERNELS):
            continue
        found.append((named.search(text) is None, len(text), tests))
    return [test for _, _, tests in sorted(found) for test in tests]


def _calling(mutant: Mutant, file: dict[str, Any]) -> list[str]:
    called = f"{mutant.path}:{mutant.place or '<module>'}"
    sound = [test for test in file["seconds"] if test not in file["failed"]]
    if called in file["calls"]["*"] or mutant.path.startswith(COMPILED):
        return sound
    return [test for test in sound if called in file["calls"].get(test, ())]


def record_of(work: Path, name: str) -> Path:
    """Return the file that says what the tests of a file call."""
    return work / "reached" / f"{name.removesuffix('.py').replace('/', '+')}.json"
