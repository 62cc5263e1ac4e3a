"""What is on its way: hidden beside its target until it is whole.

A process that is killed leaves such a file behind, and the next one that writes the same target
removes it. Those of the living are held by a lock, which ends with the process however it dies.
"""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

_RANDOM = r"[a-z0-9_]{8}"  # as `tempfile` makes names


@contextlib.contextmanager
def file_beside(target: Path) -> Iterator[Path]:
    """Yield an empty file in the folder of `target`; it goes at the end, unless it was renamed.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    prefix = f".{target.name.removeprefix('.')}."

    def make() -> Path:
        handle, name = tempfile.mkstemp(prefix=prefix, dir=target.parent)
        os.close(handle)
        return Path(name)

    with _held(target.parent, prefix, make) as path:
        # It was made private; results are meant to be read by colleagues.
        path.chmod(0o644)
        yield path


@contextlib.contextmanager
def folder_in(folder: Path, prefix: str) -> Iterator[Path]:
    """Yield an empty folder in another one; it goes at the end, with all that is in it."""
    with _held(folder, prefix, lambda: Path(tempfile.mkdtemp(prefix=prefix, dir=folder))) as path:
        yield path


@contextlib.contextmanager
def _held(folder: Path, prefix: str, make: Callable[[], Path]) -> Iterator[Path]:
    _remove_left(folder, prefix)
    handle, path = _locked(make)
    try:
        yield path
    finally:
        _remove(path)
        os.close(handle)


def _locked(make: Callable[[], Path]) -> tuple[int, Path]:
    """Make something and lock it."""
    while True:
        path = make()
        # Before it is locked another process may take it for one of the dead.
        with contextlib.suppress(FileNotFoundError):
            handle = _open(path)
            with contextlib.suppress(OSError):  # a disk without locks, where nothing is removed
                fcntl.flock(handle, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.stat()):
                    return handle, path
            os.close(handle)


def _remove_left(folder: Path, prefix: str) -> None:
    """Remove what processes left that were killed, with what a database writes beside itself."""
    name = re.compile(f"({re.escape(prefix)}{_RANDOM})(\\..+)?")
    for path in sorted(folder.iterdir()):
        match = name.fullmatch(path.name)
        if match is not None:
            with contextlib.suppress(OSError):  # it is locked, or has gone meanwhile
                _remove_unless_held(path, folder / match[1])


def _remove_unless_held(path: Path, held: Path) -> None:
    """Remove a path unless another one is there and locked."""
    if not held.exists():
        _remove(path)
        return
    handle = _open(held)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(path)
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    # Network disks lock nothing exclusively that cannot be written.
    return os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)  # others may be at it as well
    else:
        # A disk may have become read-only; what is wrong has been said.
        with contextlib.suppress(OSError):
            path.unlink()
