"""Damage files of a finished study at random, and ask who notices.

Each time one file of a random kind is damaged in a copy: a byte flipped, a digit changed, the end
cut off, a page of zeros, bytes added, or two files of a kind swapped. Then: does `scalebed verify`
name the file? Does what reads such files refuse it, or at least give the same values?
"""

from __future__ import annotations

import argparse
import logging
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import spread
from damage import NAMES, SWAP, WAYS, files, link_tree, mend, put
from readers import AgainError, reader

from scalebed.core.at_rest import Account, adopt, compare, examine
from scalebed.core.digests import SUFFIX, digest_path
from scalebed.core.errors import ScalebedError

WHOLE = 250
"""Every so many files the whole folder is verified."""
REFUSED, AGAIN, SAME, UNREAD, SILENT = "refused", "made again", "same values", "no reader", "SILENT"


class Trial(NamedTuple):
    """What came of one damage."""

    kind: str
    way: str
    path: Path
    named: bool
    read: str


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    spread.arguments(parser, 5000, "damage")


def run(args: argparse.Namespace) -> int:
    """Print a table of the ways and what came of them."""
    logging.disable(logging.WARNING)
    began = time.monotonic()
    trials = spread.spread(part, args)
    missed = [trial for trial in trials if not trial.named or trial.read == SILENT]
    kinds = {trial.kind for trial in trials}
    print(f"seed {args.seed}, {len(trials)} damages to {len(kinds)} kinds of files")
    print(table(trials))
    for trial in missed:
        print(f"missed: {trial.way} of {trial.path}: named {trial.named}, {trial.read}")
    print(f"{len(missed)} missed, {time.monotonic() - began:.0f} s")
    return 1 if missed else 0


def part(args: argparse.Namespace, numbers: Sequence[int]) -> list[Trial]:
    """Return what came of the damages of one worker."""
    found = []
    with tempfile.TemporaryDirectory(dir=args.folder.parent) as name:
        for number, trial in campaign(args.folder, Path(name), args.seed, numbers):
            found.append(trial)
            spread.note(args.log, {"number": number, **trial._asdict()})
    return found


def table(trials: list[Trial]) -> str:
    """Return the counts as text."""
    head = ("named by verify", REFUSED, AGAIN, SAME, UNREAD, SILENT)
    lines = [f"{'':10} {'damages':>8} " + " ".join(f"{word:>16}" for word in head)]
    for way in (*NAMES, "all"):
        own = [trial for trial in trials if way in (trial.way, "all")]
        counts = [sum(trial.named for trial in own)]
        counts += [sum(trial.read == word for trial in own) for word in head[1:]]
        lines.append(f"{way:10} {len(own):8} " + " ".join(f"{count:16}" for count in counts))
    return "\n".join(lines)


def campaign(
    source: Path, work: Path, seed: int, numbers: Sequence[int]
) -> Iterator[tuple[int, Trial]]:
    """Yield numbers of damages and what came of them in a copy of a finished study.

    Parameters
    ----------
    source
        Folder with results and state; nothing is written into it.
    work
        Empty folder on the same disk.
    seed, numbers
        Each damage is drawn from the seed and its own number.
    """
    base, copy = work / "base", work / "copy"
    link_tree(source, base)
    adopt(examine(base).unchecked)
    link_tree(base, copy)
    assert not examine(copy).faults, examine(copy).faults
    kinds = files(base)
    for number in numbers:
        draw = random.Random(f"{seed} {number}")
        yield number, one(base, copy, kinds, draw, whole=number % WHOLE == 0)


def one(
    base: Path, copy: Path, kinds: dict[str, list[Path]], draw: random.Random, whole: bool
) -> Trial:
    """Damage one file, ask, and put it back."""
    kind = draw.choice(list(kinds))
    path = draw.choice(kinds[kind])
    way, changed = damaged(base, kinds[kind], path, draw)
    try:
        for file, content in changed.items():
            put(copy / file, content)
        account = examine(copy) if whole else compare(around(copy, [*changed]))
        named = all(is_named(copy / file, account) for file in changed)
        return Trial(kind, way, path, named, what_is_read(copy / path, base / path))
    finally:
        for file in changed:
            mend(base / file.parent, copy / file.parent)


def damaged(
    base: Path, alike: list[Path], path: Path, draw: random.Random
) -> tuple[str, dict[Path, bytes]]:
    """Return how files are damaged and what is in them then, other than before."""
    content = (base / path).read_bytes()
    while True:
        name = draw.choice(NAMES)
        if name == SWAP:
            other = draw.choice(alike)
            found = (base / other).read_bytes()
            if found != content:
                return name, {path: found, other: content}
            continue
        after = next(way for way in WAYS if way.__name__ == name)(content, draw)
        if after != content:
            return name, {path: after}


def around(root: Path, changed: list[Path]) -> list[Path]:
    """Return some files and what vouches for them; of a digest, the file it is of."""
    found = set(root.glob("results/datasets/*/manifest.json"))
    for path in (root / file for file in changed):
        found |= set(path.parent.glob("*.json"))
        if path.suffix != SUFFIX:
            found.add(path)
        elif path.name.startswith("."):
            found.add(path.with_name(path.name.removeprefix(".").removesuffix(SUFFIX)))
        else:
            found |= set(path.parent.glob(f"{path.stem}.*")) - {path}
    return sorted(found)


def is_named(path: Path, account: Account) -> bool:
    """Tell whether a file, or the one it is the digest of, is said to be damaged."""
    return any(
        path in (fault.path, digest_path(fault.path)) or path in fault.delete
        for fault in account.faults
    )


def what_is_read(path: Path, original: Path) -> str:
    """Return what the reader of a file makes of the damaged one."""
    read, before = reader(path, original), reader(original, original)
    if read is None or before is None:
        return UNREAD
    try:
        value = read()
    except AgainError:
        return AGAIN
    except ScalebedError:
        return REFUSED
    return SAME if value == before() else SILENT
