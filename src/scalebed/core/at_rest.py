"""Compare all files of a project, or of one study, with the digests that they have."""

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from scalebed.core.digests import SUFFIX, differs, digest_path, recorded, remember, sha256_file
from scalebed.core.remedies import ROOTS, remedy

_WEIGHTS = "model.safetensors"
_EMPTY = {"lock", "running"}
_PASSED_OVER = {".bad", ".lock", SUFFIX}
_THREADS = 8


class Fault(NamedTuple):
    """A damaged file.

    Attributes
    ----------
    path : Path
        The file.
    what : str
        What is wrong with it.
    delete : list of Path
        What to delete so that the next run makes it anew; nothing if it cannot be made again.
    """

    path: Path
    what: str
    delete: list[Path]


class Account(NamedTuple):
    """What was found.

    Attributes
    ----------
    checked : int
        Number of files that were compared with a digest.
    bytes : int
        Their sizes together.
    faults : list of Fault
        What is damaged.
    unchecked : list of Path
        Files of which nothing is known to compare them with.
    """

    checked: int
    bytes: int
    faults: list[Fault]
    unchecked: list[Path]


class _Told(NamedTuple):
    digest: str
    by: Path


class _Finding(NamedTuple):
    bytes: int
    fault: Fault | None
    known: bool


def examine(root: Path, study: str | None = None) -> Account:
    """Compare all files below ``results`` and ``state`` with their digests.

    Parameters
    ----------
    root
        Folder that holds the two.
    study
        Name of the only study to look at, with its cells and all that studies share.
    """
    return compare([path for path in _files(root) if study is None or _belongs(path, root, study)])


def compare(files: list[Path]) -> Account:
    """Compare files with the digests beside them and those that other files of the list tell."""
    vouched = _vouched(files)
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(lambda path: _compared(path, vouched.get(path)), files))
    if any(one.fault for one in found):
        # A run may have replaced a file and what vouches for it between the two looks.
        vouched = _vouched(files)
        pairs = zip(files, found, strict=True)
        found = [_compared(path, vouched.get(path)) if one.fault else one for path, one in pairs]
    missing = [
        Fault(path, "is missing", remedy(path))
        for path, told in sorted(vouched.items())
        # Tokens that are gone are made again for the next cell.
        if told.by.parent == path.parent and path.name != _WEIGHTS and not path.exists()
    ]
    beside = [fault for path in files if (fault := _digest_fault(path)) is not None]
    damaged = [one.fault for one in found if one.fault is not None]
    known = [one for one in found if one.known]
    pairs = zip(files, found, strict=True)
    unchecked = [path for path, one in pairs if not one.known and one.fault is None]
    faults = sorted([*damaged, *missing, *beside])
    return Account(len(known), sum(one.bytes for one in known), faults, unchecked)


def adopt(files: Iterable[Path]) -> None:
    """Write digests of files that have none, as they are now."""
    for path in files:
        inode = path.stat().st_ino
        remember(path, sha256_file(path), inode)


def _files(root: Path) -> Iterator[Path]:
    """Yield the files that hold something, in the order of their paths."""
    for name in ROOTS:
        for path in sorted((root / name).rglob("*")):
            hidden = path.name.startswith(".") and path.name != ".metadata"
            if hidden or path.name in _EMPTY or path.suffix in _PASSED_OVER:
                continue
            if path.is_file():
                yield path


def _belongs(path: Path, root: Path, study: str) -> bool:
    """Tell whether a file is of a study, or of none in particular."""
    top, *below = path.relative_to(root).parts
    if top == "state":
        kind, rest = ("cells", below) if below[0].startswith("dataset=") else (below[0], below[1:])
    else:
        kind, rest = below[0], below[1:]
    if kind == "studies":
        return rest[0] == study
    folder = root / "results" / "studies" / study
    if kind == "cells":
        return _is_listed(folder / "cells.tsv", "/".join(rest[:5]))
    if kind == "trunks":
        return _is_listed(folder / "trunks.json", "/".join(rest[:4]))
    return True


def _is_listed(file: Path, name: str) -> bool:
    """Tell whether a file says a name; where there is no such file nothing is left out."""
    try:
        return name.encode() in file.read_bytes()
    except OSError:
        return True


def _vouched(files: Iterable[Path]) -> dict[Path, _Told]:
    """Return the digests of files that a manifest, a record or a list beside them tells."""
    found: dict[Path, _Told] = {}
    for path in files:
        if path.suffix == ".json":
            told = _told(path.parent, _content(path))
            found |= {file: _Told(digest, path) for file, digest in told}
        elif (beside := path.with_suffix(SUFFIX)).is_file():
            digest = beside.read_bytes().decode(errors="replace").strip()
            found[path] = _Told(digest, beside)
    return found


def _content(path: Path) -> Any:
    """Return what a JSON file says; nothing if it is damaged, which is told of the file itself."""
    try:
        content = path.read_bytes()
        known = recorded(path)
        if known is not None and sha256_file(path) not in known:
            return None
        return json.loads(content)
    except (OSError, ValueError, RecursionError):
        return None


def _told(folder: Path, value: Any) -> Iterator[tuple[Path, str]]:
    """Yield the files and digests that a manifest or record tells, however deep inside."""
    if isinstance(value, list):
        for item in value:
            yield from _told(folder, item)
    if not isinstance(value, Mapping):
        return
    match value:
        case {"name": str(name), "sha256": str(digest)}:
            yield folder / name, digest
        case {"manifest": str(name), "manifest_sha256": str(digest)}:
            yield Path(*_flat(folder / name)), digest
        case {"weights_sha256": str(digest), "curve_rows": _}:
            yield folder / _WEIGHTS, digest
        case {"facts": _, "sha256": Mapping() as sums}:
            yield from ((folder / str(name), str(digest)) for name, digest in sums.items())
    for item in value.values():
        yield from _told(folder, item)


def _flat(path: Path) -> list[str]:
    """Return the names in a path, without ".."."""
    names: list[str] = []
    for name in path.parts:
        if name == ".." and names and names[-1] != "..":
            names.pop()
        else:
            names.append(name)
    return names


def _compared(path: Path, told: _Told | None) -> _Finding:
    """Compare a file with its digests: the one beside it, and the one a record tells."""
    try:
        size = path.stat().st_size
        expected = recorded(path)
        if expected is None and told is None:
            return _Finding(size, _unreadable(path), False)
        found = sha256_file(path)
    except FileNotFoundError:
        return _Finding(0, None, False)  # a run replaces it at this moment
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        return _Finding(0, Fault(path, what, remedy(path)), True)
    fault = None
    if expected and found not in expected:
        fault = Fault(path, differs(found, expected[0]), remedy(path))
    elif told is not None and found != told.digest:
        what = f"{differs(found, told.digest)} in {told.by.name}"
        fault = Fault(path, what, list(dict.fromkeys([*remedy(path), told.by])))
    return _Finding(size, fault, bool(expected) or told is not None)


def _unreadable(path: Path) -> Fault | None:
    """Return what is plainly wrong with a file that has no digest."""
    content = path.read_bytes() if path.suffix in (".json", ".parquet") else b""
    if path.suffix == ".json":
        try:
            json.loads(content)
        except (ValueError, RecursionError):
            return Fault(path, "is no JSON", remedy(path))
    elif path.suffix == ".parquet" and not content[:4] == content[-4:] == b"PAR1":
        return Fault(path, "is no whole parquet file", remedy(path))
    return None


def _digest_fault(path: Path) -> Fault | None:
    """Return what is wrong with the digest beside a file."""
    beside = digest_path(path)
    try:
        content = beside.read_bytes()
    except OSError:
        return None
    known = recorded(path) or ()
    whole = [f"{digest}  {path.name}\n".encode() * 2 for digest in known[:1]]
    if content in whole:
        return None
    return Fault(beside, f"is damaged, the digest of {path.name}", [beside])
