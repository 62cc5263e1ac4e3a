"""Checkpoints of open_lm: reading them without running what is in them, finding whole ones."""

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core import multiarray
from torch import Tensor

from scalebed.core.errors import ScalebedError

_PARTS = ("epoch", "optimizer", "stats")
"""Files open_lm writes after an epoch, in this order."""
_PREFIXES = ("module.", "_orig_mod.")
_NUMBER = multiarray.scalar
_SAFE: list[Any] = [
    # Metrics in checkpoints are NumPy scalars; these build numbers and do nothing else. NumPy 1
    # called the module of the first one by another name.
    *(_NUMBER, (_NUMBER, "numpy.core.multiarray.scalar"), np.dtype),
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "b1")),
]


def read(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint file; tensors stay on disk until they are used.

    Only tensors and plain values are read: a file with anything else, which could run code, is
    refused.

    Raises
    ------
    ScalebedError
        If the file is missing, broken, or holds more than that.
    """
    try:
        with torch.serialization.safe_globals(_SAFE):
            mapped = zipfile.is_zipfile(path)  # files of torch before 1.6 cannot be mapped
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except OSError as error:
        raise ScalebedError(f"cannot read {path}: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        what = f"it holds a {found[1]}" if found else "it holds more than tensors and plain values"
        raise ScalebedError(f"{path} is no checkpoint that can be read safely: {what}") from error
    except (RuntimeError, ValueError, EOFError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ScalebedError(f"{path} is not a whole checkpoint of torch: {reason}") from error
    if not isinstance(content, dict):
        raise ScalebedError(f"{path} holds a {type(content).__name__}, expected a dictionary")
    return content


def state_dict(content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """Return the model's tensors in a checkpoint, without the prefixes of wrappers.

    Raises
    ------
    ScalebedError
        If there are none.
    """
    found = content.get("state_dict", content)
    if not isinstance(found, dict) or not all(isinstance(item, Tensor) for item in found.values()):
        raise ScalebedError(f"{path} has no state_dict of tensors")
    cleaned = {}
    for name, value in found.items():
        while name.startswith(_PREFIXES):
            name = name.partition(".")[2]
        cleaned[name.replace("._orig_mod.", ".")] = value
    return cleaned


def newest(folder: Path) -> int | None:
    """Return the number of the newest checkpoint of a run, after removing broken ones.

    open_lm writes three files one after the other, and not atomically. It resumes from the newest
    first one whatever has become of the others, so an interrupted one must go.
    """
    numbers = {
        int(path.stem.rpartition("_")[2])
        for part in _PARTS
        for path in folder.glob(f"{part}_*.pt")
        if path.stem.rpartition("_")[2].isdigit()
    }
    for number in sorted(numbers, reverse=True):
        paths = [folder / f"{part}_{number}.pt" for part in _PARTS]
        if all(_is_whole(path) for path in paths):
            return number
        for path in paths:
            path.unlink(missing_ok=True)
    return None


def _is_whole(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False
