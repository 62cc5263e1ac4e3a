"""Which tests a mutant meets: those of its room, the files that name its module first."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from mutated.operators import Mutant

# Compiled code is not swapped, and takes long to compile: it meets the tests made for it.
COMPILED = "fit/solvers/kernels/"
_KERNELS = ("test_kernels", "test_fit_engine", "test_fit_general", "test_fit_robust")


# Of laws, in another room because they fit them; and of how a search is declared.
_ELSEWHERE = {
    "laws": ("fit/test_laws_recovery.py", "fit/test_laws_refusals.py"),
    "study": ("search/test_search_study.py",),
}


def room(path: str) -> str:
    """Return the room of a module: its first folder; what lies beside the rooms is commands'."""
    return path.partition("/")[0] if "/" in path else "commands"


def order(mutant: Mutant, file: Path) -> tuple[bool, int]:
    """Return what files of tests are sorted by: those that name the module first, short ones."""
    module = f"scalebed/{mutant.path}".removesuffix(".py").removesuffix("/__init__")
    dotted, _, last = module.replace("/", ".").rpartition(".")
    text = _text(file)
    named = re.search(rf"{dotted}\.{last}\b|from {dotted} import .*\b{last}\b", text)
    return named is None, len(text)


@functools.cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def files_of(name: str, tree: Path) -> list[Path]:
    """Return the files of tests of a room."""
    unit = tree / "tests/unit"
    return [*(unit / name).glob("test_*.py"), *(unit / file for file in _ELSEWHERE.get(name, ()))]


def tests_of(mutant: Mutant, tree: Path) -> list[str]:
    """Return the files of tests of its room, in their order."""
    found = files_of(room(mutant.path), tree)
    if mutant.path.startswith(COMPILED):
        found = [file for file in found if file.stem.startswith(_KERNELS)]
    return [str(file.relative_to(tree)) for file in sorted(found, key=lambda f: order(mutant, f))]
