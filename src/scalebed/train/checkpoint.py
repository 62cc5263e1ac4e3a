"""Resumable state of one cell: a locked folder with the last two checkpoints.

A checkpoint is a safetensors file ``step-<n>.safetensors`` beside ``step-<n>.sha256``. The sum is
written first and the checkpoint renamed into place last, so a checkpoint that is there is whole
unless the disk lied; the sum tells. Ranks that share the weights out write a folder
``step-<n>.sharded`` together instead; see `scalebed.train.distributed.sharded_files`.

Both hold the same tensors under the same names, whole ones as far as a reader can tell, so that
every way of training can go on from either: ``step``, and ``weights/<parameter>``,
``exp_avg/<parameter>`` and ``exp_avg_sq/<parameter>`` for each parameter, and ``curve``.
"""

import contextlib
import fcntl
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
from torch import Tensor

from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError
from scalebed.core.files import atomic_path, read_json, sha256_file, write_json, write_text
from scalebed.model.saved import save_tensors
from scalebed.train.distributed.ranks import Ranks

_log = logging.getLogger(__name__)
LOCK = "lock"
"""Name of the file whose lock says that a cell is being trained."""

_KEEP = 2
_POLL_SECONDS = 2.0
_SUFFIX = ".safetensors"
_SHARDED = ".sharded"
_BROKEN = (OSError, ScalebedError, ValueError, KeyError, safetensors.SafetensorError)


class Checkpoint(NamedTuple):
    """State after `step` steps."""

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    """Plain values saved with the tensors, such as the seconds spent so far."""


class Saved(NamedTuple):
    """A checkpoint on disk."""

    step: int
    path: Path
    facts: dict[str, Any]

    def fill(self, targets: Mapping[str, Tensor]) -> None:
        """Copy the tensors of the checkpoint into `targets`, in place.

        Where targets are shards (DTensor), all ranks have to call this together.

        Raises
        ------
        ValueError
            If a tensor is missing or has another shape.
        """
        if self.path.is_dir():
            _sharded_files().fill(self.path, targets)
            return
        with safetensors.safe_open(self.path, framework="pt") as file:
            names = set(file.keys())
            for name, target in targets.items():
                if name not in names:
                    raise ValueError(f"{self.path} has no {name}")
                part = file.get_slice(name)
                if tuple(part.get_shape()) != tuple(target.shape):
                    raise ValueError(f"{name} has not the shape {tuple(target.shape)}")
                rows, here = local_rows(target)
                here.copy_(file.get_tensor(name) if rows is None else part[rows])


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
        with atomic_path(path, digest=False) as temporary:
            save_tensors(temporary, tensors, {"facts": json.dumps(checkpoint.facts)})
            sum = sha256_file(temporary) + "\n"
            write_text(path.with_suffix(".sha256"), sum, digest=False)
        self._drop_old()

    def save_sharded(self, checkpoint: Checkpoint, ranks: Ranks) -> None:
        """Write a checkpoint from all ranks together and drop all but the last two.

        Raises
        ------
        ScalebedError
            On every rank, if one of them cannot write its part; the earlier ones are untouched.
        """
        path = self.path / f"step-{checkpoint.step:09d}{_SHARDED}"
        _sharded_files().write(path, checkpoint.tensors, checkpoint.facts, ranks)
        if ranks.leads:
            self._drop_old()

    def newest(self, limit: int | None = None) -> Saved | None:
        """Return the newest checkpoint that is whole, or None if there is none.

        Broken ones are removed with a warning that names them. One that the disk does not give
        now stays, for it may be whole.

        Parameters
        ----------
        limit
            Steps that it may have at the most; later ones are left alone.

        Raises
        ------
        ScalebedError
            If there is none but what the disk does not give.
        """
        found = [path for path in self._checkpoints() if limit is None or _step(path) <= limit]
        kept: list[str] = []
        for path in found:
            try:
                return _checked(path)
            except _BROKEN as error:
                reason = " ".join(str(error).split())
                if _is_of_disk(error):
                    kept.append(f"cannot read checkpoint {path}: {reason}")
                    _log.warning("%s; falling back", kept[-1])
                    continue
                _log.warning("checkpoint %s is broken (%s); falling back", path, reason)
                _remove(path)
        if kept:
            raise ScalebedError(f"{kept[0]}; run again, or delete it to do without")
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
        """Return the checkpoints, the newest first."""
        found = [path for kind in (_SUFFIX, _SHARDED) for path in self._glob(kind)]
        return sorted(found, key=lambda path: path.name, reverse=True)

    def _glob(self, suffix: str) -> Iterator[Path]:
        return self.path.glob(f"step-*{suffix}")

    def _drop_old(self) -> None:
        for old in self._checkpoints()[_KEEP:]:
            _remove(old)


def _sharded_files() -> Any:
    """Import what only sharded checkpoints need: two seconds that short cells must not pay."""
    from scalebed.train.distributed import sharded_files

    return sharded_files


def local_rows(target: Tensor) -> tuple[slice | None, Tensor]:
    """Return which rows of the whole tensor a rank holds, and where; None for all of them.

    Shards are those of `torch.chunk` along the first dimension.
    """
    if type(target) is Tensor:
        return None, target
    from torch.distributed.tensor import DTensor

    assert isinstance(target, DTensor)
    mesh = target.device_mesh
    size, rank = mesh.size(), mesh.get_local_rank()
    rows = -(-target.shape[0] // size)
    here: Tensor = target.to_local()
    start = min(rank * rows, target.shape[0])
    return slice(start, start + here.shape[0]), here


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-").partition(".")[0])


def _checked(path: Path) -> Saved:
    step = _step(path)
    if path.is_dir():
        return Saved(step, path, _sharded_files().checked_facts(path))
    expected = path.with_suffix(".sha256").read_text().strip()
    if sha256_file(path) != expected:
        raise ValueError(f"{path.stat().st_size} bytes with another SHA-256 than recorded")
    with safetensors.safe_open(path, framework="pt") as file:
        return Saved(step, path, json.loads(file.metadata()["facts"]))


def _is_of_disk(error: BaseException) -> bool:
    """Tell whether a file could not be read, which says nothing about what is in it."""
    cause = error.__cause__ if isinstance(error, ScalebedError) else error
    return isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)


def _remove(checkpoint: Path) -> None:
    if checkpoint.is_dir():
        shutil.rmtree(checkpoint)
        return
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
            # Nobody else is to put a state there that training would go on from.
            path.mkdir(0o700, parents=True, exist_ok=True)
            handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
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
        if _is_current(handle, path / LOCK):
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
