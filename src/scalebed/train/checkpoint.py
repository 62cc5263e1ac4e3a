"""Resumable state of one cell: a locked folder with the last two checkpoints.

A checkpoint is a safetensors file ``step-<n>.safetensors`` beside ``step-<n>.sha256``. The sum is
written first and the checkpoint renamed into place last, so a checkpoint that is there is whole
unless the disk lied; the sum tells.
"""

import contextlib
import fcntl
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
from torch import Tensor

from scalebed.errors import ScalebedError
from scalebed.files import atomic_path, read_json, sha256_file, write_json, write_text
from scalebed.grid import Cell
from scalebed.model.saved import save_tensors

_log = logging.getLogger(__name__)
_KEEP = 2
_POLL_SECONDS = 2.0
_SUFFIX = ".safetensors"


class Checkpoint(NamedTuple):
    """State after `step` steps."""

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    """Plain values saved with the tensors, such as the seconds spent so far."""


class StateFolder:
    """The folder that holds the state of one cell; see `open_state`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def count_attempt(self) -> int:
        """Return how often training of this cell has started, this time included."""
        path = self.path / "attempts.json"
        attempts = (read_json(path) if path.exists() else 0) + 1
        write_json(path, attempts)
        return int(attempts)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint and drop all but the last two.

        Raises
        ------
        ScalebedError
            If it cannot be written; the earlier ones are untouched.
        """
        path = self.path / f"step-{checkpoint.step:09d}{_SUFFIX}"
        tensors = {name: value.cpu().contiguous() for name, value in checkpoint.tensors.items()}
        with atomic_path(path) as temporary:
            save_tensors(temporary, tensors, {"facts": json.dumps(checkpoint.facts)})
            write_text(path.with_suffix(".sha256"), sha256_file(temporary) + "\n")
        for old in self._checkpoints()[_KEEP:]:
            _remove(old)

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole, or None if there is none.

        Broken ones are removed with a warning that names them.
        """
        found = self._checkpoints()
        for path in found:
            try:
                return _read(path)
            except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
                reason = " ".join(str(error).split())
                _log.warning("checkpoint %s is broken (%s); falling back", path, reason)
                _remove(path)
        if found:
            _log.warning("no whole checkpoint is left in %s; training starts anew", self.path)
        return None

    def discard(self) -> None:
        """Remove the folder, and the folders of the cell above it as far as they are empty."""
        shutil.rmtree(self.path)
        with contextlib.suppress(OSError):  # "not empty": another recipe digest is at work there
            for parent in list(self.path.parents)[: len(Cell._fields)]:
                parent.rmdir()

    def _checkpoints(self) -> list[Path]:
        return sorted(self.path.glob(f"step-*{_SUFFIX}"), reverse=True)


def _read(path: Path) -> Checkpoint:
    expected = path.with_suffix(".sha256").read_text().strip()
    if sha256_file(path) != expected:
        raise ValueError(f"{path.stat().st_size} bytes with another SHA-256 than recorded")
    with safetensors.safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = json.loads(file.metadata()["facts"])
    return Checkpoint(int(path.stem.removeprefix("step-")), tensors, facts)


def _remove(checkpoint: Path) -> None:
    checkpoint.unlink(missing_ok=True)
    checkpoint.with_suffix(".sha256").unlink(missing_ok=True)


@contextlib.contextmanager
def open_state(path: Path, wait_seconds: float = 0.0) -> Iterator[StateFolder]:
    """Create and lock the state folder of a cell, waiting so long for another trainer to end.

    The lock ends with the process however it dies, so it never has to be removed by hand.

    Raises
    ------
    ScalebedError
        If another process trains the cell, or the folder cannot be written.
    """
    began = time.monotonic()
    while True:
        try:
            path.mkdir(parents=True, exist_ok=True)
            handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            continue  # another trainer finished and removed the folder between the two calls
        except OSError as error:
            raise ScalebedError(f"cannot write {path}: {error.strerror or error}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            if time.monotonic() - began >= wait_seconds:
                taken = f"another process is training this cell ({path}/lock)"
                raise ScalebedError(taken) from None
            _wait(path, began)
            continue
        except OSError as error:
            os.close(handle)
            raise ScalebedError(f"cannot lock {path}/lock: {error.strerror or error}") from error
        if _is_current(handle, path / "lock"):
            break
        os.close(handle)
    try:
        yield StateFolder(path)
    finally:
        os.close(handle)


def _wait(path: Path, began: float) -> None:
    """Wait a little for a lock, and say so the first time."""
    if time.monotonic() - began < _POLL_SECONDS:
        _log.info("another process is training this cell (%s/lock); waiting for it to end", path)
    time.sleep(_POLL_SECONDS)


def _is_current(handle: int, path: Path) -> bool:
    """Tell whether an open lock still is the file at `path`, not one that was removed since."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
