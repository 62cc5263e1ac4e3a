"""Ways to damage a file, and a folder to do it in."""

from __future__ import annotations

import os
import random
import re
import shutil
from pathlib import Path

ROOTS = ("results", "state")
PAGE = 4096
_DIGIT = re.compile(rb"[0-9]")
_VALUE = re.compile(r"^([a-z]+)=.*")


def flip(content: bytes, draw: random.Random) -> bytes:
    """Change some bits of one byte."""
    at = draw.randrange(len(content))
    other = content[at] ^ draw.randrange(1, 256)
    return content[:at] + bytes([other]) + content[at + 1 :]


def digit(content: bytes, draw: random.Random) -> bytes:
    """Put another digit in place of one; nothing without digits."""
    begin = draw.randrange(len(content))
    match = _DIGIT.search(content, begin) or _DIGIT.search(content)
    if match is None:
        return content
    at = match.start()
    other = draw.choice([one for one in b"0123456789" if one != content[at]])
    return content[:at] + bytes([other]) + content[at + 1 :]


def truncate(content: bytes, draw: random.Random) -> bytes:
    """Leave the end out."""
    return content[: draw.randrange(len(content))]


def zero(content: bytes, draw: random.Random) -> bytes:
    """Put zeros in place of a page."""
    begin = draw.randrange(0, len(content), PAGE)
    page = content[begin : begin + PAGE]
    return content[:begin] + bytes(len(page)) + content[begin + PAGE :]


def append(content: bytes, draw: random.Random) -> bytes:
    """Add some bytes at the end."""
    return content + draw.randbytes(draw.randint(1, 64))


WAYS = (flip, digit, truncate, zero, append)
SWAP = "swap"
NAMES = (*(way.__name__ for way in WAYS), SWAP)


def kind(path: Path) -> str:
    """Return what all files of a kind have in common: the path without names of single things."""
    if path.name.startswith(".") and path.suffix == ".sha256":
        return f"{path.parts[0]}: digests"
    parts = [_VALUE.sub(r"\1=*", part) for part in path.parts]
    parts = [re.sub(r"[0-9a-f]{16,}|(?<=step-)\d+|(?<=-)\d{5}(?=\.)", "*", part) for part in parts]
    if parts[:2] == ["state", "evaluations"] and parts[2] != "tokens":
        parts[2] = "*"
    if parts[1] in ("corpora", "tokens", "datasets", "tokenizers"):
        parts[2:-1] = ["*"] * len(parts[2:-1])
    if parts[1] == "suites":
        parts[-1] = re.sub(r"\w+(?=\.jsonl)", "*", parts[-1])
    return "/".join(parts)


def files(root: Path) -> dict[str, list[Path]]:
    """Return the files that are not empty by kind, below `root`, in the order of their paths."""
    found: dict[str, list[Path]] = {}
    for name in ROOTS:
        for path in sorted((root / name).rglob("*")):
            if path.is_file() and path.stat().st_size:
                below = path.relative_to(root)
                found.setdefault(kind(below), []).append(below)
    return dict(sorted(found.items()))


def link_tree(source: Path, target: Path) -> None:
    """Copy results and state by links: what is in place is never written into, only replaced."""
    for name in ROOTS:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, copy_function=os.link)


def put(path: Path, content: bytes) -> None:
    """Put other content in place of a file."""
    aside = path.with_name(".damaged")
    aside.write_bytes(content)
    aside.replace(path)


def mend(source: Path, target: Path) -> None:
    """Make the files in a folder those of another one again, which they were links of."""
    for path in target.iterdir():
        beside = source / path.name
        if path.is_file() and not (beside.exists() and path.samefile(beside)):
            path.unlink()
    for path in source.iterdir():
        if path.is_file() and not (target / path.name).exists():
            (target / path.name).hardlink_to(path)
