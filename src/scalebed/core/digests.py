"""Digests beside files: what is read is what was written, or nobody reads it.

Beside every file of a study, written by `scalebed.core.files` below ``results`` or ``state``, lies
a hidden one, ``.<name>.sha256``, in the format of ``sha256sum --check``. Its line stands twice:
where only one of the two is right, the digest is damaged and not the file. Big files have their
digest in the manifest or record beside them instead, see `scalebed.core.verify`. A file without a
digest, of a study of before there were any, is read as it is.
"""

import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from scalebed.core.errors import ScalebedError
from scalebed.core.remedies import remedy, root_of

SUFFIX = ".sha256"
_BLOCK = 1 << 20
_WAIT_SECONDS = 0.01
# Files found good by this process, by path, size, time of change and number on the disk.
_GOOD: set[tuple[str, int, int, int]] = set()
_Read = TypeVar("_Read")


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    hasher = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
    return hasher.hexdigest()


def digest_path(path: Path) -> Path:
    """Return where the digest of a file is."""
    return path.with_name(f".{path.name}{SUFFIX}")


def is_kept(path: Path) -> bool:
    """Tell whether a file is one of a study, which has a digest."""
    return root_of(path) is not None


def forget(path: Path) -> None:
    """Remove the digest of a file that is about to be replaced."""
    digest_path(path).unlink(missing_ok=True)


def remember(path: Path, digest: str, inode: int) -> None:
    """Write the digest of a file that was just put in place.

    Parameters
    ----------
    path
        The file.
    digest
        SHA-256 of its bytes.
    inode
        Its number on the disk. Where another process has replaced it meanwhile nothing is left.
    """
    beside = digest_path(path)
    handle, name = tempfile.mkstemp(prefix=f"{beside.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        # Not flushed to the disk: one lost with the power is empty, and then there is none.
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{digest}  {path.name}\n" * 2)
        temporary.chmod(0o644)
        temporary.replace(beside)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_ino == inode:
            return
    beside.unlink(missing_ok=True)


def recorded(path: Path) -> tuple[str, ...] | None:
    """Return the digests recorded beside a file: one, two if they differ, none if it is damaged.

    Returns
    -------
    tuple of str or None
        None where there is no digest.
    """
    try:
        content = digest_path(path).read_bytes()
    except OSError:
        return None
    if not content:
        return None
    line = re.compile(rb"([0-9a-f]{64})  " + re.escape(os.fsencode(path.name)))
    found = [match[1].decode() for match in map(line.fullmatch, content.split(b"\n")) if match]
    return tuple(dict.fromkeys(found))


def complaint(path: Path, found: str) -> str | None:
    """Return what is wrong with a file of which a digest was found; None if nothing is."""
    expected = recorded(path)
    if expected is None or found in expected:
        return None
    if not expected:
        beside = digest_path(path)
        return f"{beside}, the digest of {path.name}, is damaged; delete {beside} and run again"
    return f"{path} {differs(found, expected[0])}; {advice(remedy(path))}"


def differs(found: str, expected: str) -> str:
    """Return in words that a file is not what was written."""
    return f"is not what was written: it has SHA-256 {found[:12]}…, expected {expected[:12]}…"


def advice(files: list[Path]) -> str:
    """Return in words what to do about a damaged file of which these are to be deleted."""
    if not files:
        return "bring back a copy of it, for it cannot be made again"
    return f"delete {' and '.join(map(str, files))} and run again"


def read_whole(path: Path) -> bytes:
    """Return the bytes of a file after comparing them with its digest.

    Raises
    ------
    ScalebedError
        If they are not what was written.
    OSError
        If it cannot be read.
    """
    return _agreed(path, path.read_bytes, lambda content: hashlib.sha256(content).hexdigest())


def intact(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that is compared with its digest, once per process.

    A file that is not there, or has no digest, is for its reader to judge.

    Raises
    ------
    ScalebedError
        If it is not what was written.
    """
    path = Path(path)
    if recorded(path) is None or not path.is_file():
        return path
    stat = path.stat()
    mark = (str(path.absolute()), stat.st_size, stat.st_mtime_ns, stat.st_ino)
    if mark not in _GOOD:
        _agreed(path, lambda: sha256_file(path), str)
        _GOOD.add(mark)
    return path


def _agreed(path: Path, read: Callable[[], _Read], digest: Callable[[_Read], str]) -> _Read:
    """Return what is read of a file, again while another process is just replacing it."""
    before = None
    while True:
        content = read()
        found = digest(content)
        wrong = complaint(path, found)
        if wrong is None:
            return content
        if wrong == before:
            raise ScalebedError(wrong)
        before = wrong
        time.sleep(_WAIT_SECONDS)
