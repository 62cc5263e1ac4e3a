"""Checkpoints that ranks write together, each what it holds: folders of torch's own format.

``torch.distributed.checkpoint`` writes one file a rank and an index; ``sums.json`` beside them has
the SHA-256 of each and is written last into a folder that is renamed into place as a whole. The
format knows which part of which tensor lies where, so any other number of ranks can read it.
"""

import contextlib
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint import CheckpointException
from torch.distributed.tensor import DTensor

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, sha256_file, write_json
from scalebed.train.distributed.ranks import Ranks
from scalebed.train.distributed.sharded_index import Reader, read_index

_SUMS = "sums.json"


def write(path: Path, tensors: Mapping[str, Tensor], facts: dict[str, Any], ranks: Ranks) -> None:
    """Write a checkpoint from all ranks together.

    Parameters
    ----------
    path
        Folder to make.
    tensors
        Shards (DTensor), or tensors that are the same on every rank, by name.
    facts
        Plain values to keep, those of the leading rank.
    ranks
        Who writes.

    Raises
    ------
    ScalebedError
        On every rank, if one of them cannot write its part; `path` is then not there.
    """
    temporary = path.with_name(f".{path.name}.part")
    if ranks.leads:
        with _cannot_write(path):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
    ranks.wait()
    try:
        with _cannot_write(path):
            writer = dcp.FileSystemWriter(temporary, single_file_per_rank=True, sync_files=True)
            with _alone_is_fine():
                dcp.save(dict(tensors), storage_writer=writer)
            own = {file.name: sha256_file(file) for file in _written_by(temporary, ranks.rank)}
        sums = {name: sum for part in ranks.gather(own) for name, sum in part.items()}
        if ranks.leads:
            with _cannot_write(path):
                write_json(temporary / _SUMS, {"facts": facts, "sha256": sums})
                _rename_folder(temporary, path)
    finally:
        if ranks.leads:
            shutil.rmtree(temporary, ignore_errors=True)
    ranks.wait()


def _written_by(folder: Path, rank: int) -> list[Path]:
    names = [f"__{rank}_*.distcp", *([".metadata"] if rank == 0 else [])]
    return sorted(file for name in names for file in folder.glob(name))


def _rename_folder(temporary: Path, path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    temporary.replace(path)
    handle = os.open(path.parent, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


@contextlib.contextmanager
def _alone_is_fine() -> Iterator[None]:
    """Silence the warning that there is only one process, which is meant."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield


@contextlib.contextmanager
def _cannot_write(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ScalebedError(f"cannot write {path}: {error.strerror or error}") from error
    except CheckpointException as error:
        causes = [cause for cause, _ in error.failures.values()]
        first = next((cause for cause in causes if isinstance(cause, OSError)), causes[0])
        reason = getattr(first, "strerror", None) or " ".join(str(first).split())
        raise ScalebedError(f"cannot write {path}: {reason}") from error


def checked_facts(path: Path) -> dict[str, Any]:
    """Return the facts of a checkpoint after comparing every file of it with its sum.

    Raises
    ------
    ValueError, OSError, KeyError, ScalebedError
        If it is not whole.
    """
    about = read_json(path / _SUMS)
    files = [path / name for name in about["sha256"]]
    with ThreadPoolExecutor(8) as pool:
        sums = list(pool.map(sha256_file, files))
    for file, found in zip(files, sums, strict=True):
        if found != about["sha256"][file.name]:
            raise ValueError(f"{file.name} has another SHA-256 than recorded")
    read_index(path)
    return dict(about["facts"])


def fill(path: Path, targets: Mapping[str, Tensor]) -> None:
    """Copy tensors of a checkpoint into `targets`, in place; see `Saved.fill`.

    Raises
    ------
    ValueError
        If a tensor is missing or has another shape.
    """
    alone = not any(isinstance(target, DTensor) for target in targets.values())
    try:
        with _alone_is_fine():
            dcp.load(dict(targets), storage_reader=Reader(path), no_dist=alone)
    except CheckpointException as error:
        cause = next(cause for cause, _ in error.failures.values())
        raise ValueError(f"{path} does not fit: {' '.join(str(cause).split())}") from error
