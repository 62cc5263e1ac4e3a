"""Give scalebed wrong inputs at random, in process, and ask whether each has a clear answer.

Study files, tables of runs, task files, curves and seals are changed: bytes, lines, keys, names,
types, huge numbers, words of other scripts and of shells. An answer is clear if the verb does its
work, or says in one line of text what it refuses. A traceback, a file of half an answer, a line
that drives the terminal, and no answer in a minute are faults.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import spread
from given import KINDS, Kind, make
from mutations import changed

DONE, REFUSED, FAULT = "done", "refused", "FAULT"
_SECONDS = 60
_LINE = 2200


class Answer(NamedTuple):
    """What came of one input."""

    number: int
    kind: str
    what: str
    said: str


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    spread.arguments(parser, 10_000, "input")


def run(args: argparse.Namespace) -> int:
    """Print a table of the kinds and what came of them."""
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    answers = spread.spread(part, args)
    print(f"seed {args.seed}, {len(answers)} inputs")
    print(table(answers))
    faults = [answer for answer in answers if answer.what == FAULT]
    for answer in faults[:20]:
        print(f"{answer.number} {answer.kind}: {answer.said.strip().splitlines()[-1][:200]}")
    print(f"{len(faults)} faults, {time.monotonic() - began:.0f} s")
    return 1 if faults else 0


def part(args: argparse.Namespace, numbers: Sequence[int]) -> list[Answer]:
    """Return the answers that one worker got."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        for answer in campaign(Path(name), args.seed, numbers):
            found.append(answer)
            spread.note(args.log, answer._asdict())
    return found


def table(answers: Sequence[Answer]) -> str:
    """Return the counts as text."""
    lines = [f"{'':14} {'inputs':>7} {DONE:>7} {REFUSED:>8} {'faults':>7}"]
    for kind in (*KINDS, "all"):
        counts = Counter(answer.what for answer in answers if kind in (answer.kind, "all"))
        numbers = (sum(counts.values()), counts[DONE], counts[REFUSED], counts[FAULT])
        lines.append("{:14} {:7} {:7} {:8} {:7}".format(kind, *numbers))
    return "\n".join(lines)


def campaign(work: Path, seed: int, numbers: Sequence[int]) -> Iterator[Answer]:
    """Yield what came of inputs; each is drawn from the seed and its own number.

    Parameters
    ----------
    work
        Empty folder.
    seed, numbers
        The kinds come in turn.
    """
    whole = make(work / "whole")
    names = list(KINDS)
    for number in numbers:
        draw = random.Random(f"{seed} {number}")
        name = names[number % len(names)]
        folder = work / "one"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole[name], folder)
        what, said = one(KINDS[name], folder, draw)
        yield Answer(number, name, what, said)


def one(kind: Kind, folder: Path, draw: random.Random) -> tuple[str, str]:
    """Change one file of a folder and return what is answered."""
    path = folder / draw.choice(kind.files)
    path.write_bytes(kind.sealed(changed(path.read_bytes(), kind.ways, draw), draw))
    before = set(folder.rglob("*"))
    with contextlib.chdir(folder), _limited():
        what, said = answer(kind, path.name)
    made = set(folder.rglob("*")) - before
    wrong = [str(file) for file in made if what != DONE or not _is_whole(file)]
    return (FAULT, f"left {', '.join(wrong)}") if wrong and what != FAULT else (what, said)


def answer(kind: Kind, name: str) -> tuple[str, str]:
    """Return what came of reading a file, and what was said."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = kind.read(Path(name))
    except BaseException:
        return FAULT, traceback.format_exc(limit=-6)
    said = err.getvalue()
    if status == 0:
        return (DONE, "") if _is_shown(out.getvalue()) else (FAULT, "controls on the terminal")
    lines = [line for line in said.splitlines() if ": error: " in line]
    clear = status == 2 and len(lines) == 1 and _is_shown(said) and len(lines[0]) < _LINE
    return (REFUSED, said) if clear else (FAULT, f"status {status}: {said[:_LINE]}")


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def late(*_: Any) -> None:
        raise TimeoutError(f"no answer in {_SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _is_shown(text: str) -> bool:
    return all(character in "\n\t" or character >= " " for character in text)


def _is_whole(path: Path) -> bool:
    try:
        return path.suffix == ".json" and bool(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        return False
