"""What produced a result: canonical parameters and the record of a run."""

import datetime
import hashlib
import importlib.metadata
import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import scalebed
from scalebed.core.imports import PACKAGE

_BUILTIN = (str, int, float, bool, type(None))
_VERSIONS = ("torch", "numpy", "scipy", "lm_eval", "duckdb", "snakemake", "tokenizers")


def canonical_json(value: Any) -> str:
    """Return `value` as JSON that is equal exactly when the values are equal.

    Only built-in types are taken: a NumPy scalar that silently became a string would let two
    different recipes share a digest.

    Raises
    ------
    TypeError
        If `value` holds anything but dict (with string keys), list, tuple and JSON scalars.
    ValueError
        If it holds NaN or an infinity.
    """
    _check_builtin(value, "value")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _check_builtin(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"{where}: key {key!r} is not a string")
            _check_builtin(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_builtin(item, f"{where}[{index}]")
    elif type(value) not in _BUILTIN:
        raise TypeError(f"{where}: {value!r} has type {type(value).__name__}, not a built-in one")


def digest(value: Any) -> str:
    """Return 16 hexadecimal digits that identify `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def state_digest(params: Any, dataset_sha256: str) -> str:
    """Return the name of the folder in which a cell's training state is kept.

    Parameters and data are part of it, so a changed recipe can never resume from old state.
    """
    return digest({"params": params, "dataset_sha256": dataset_sha256})


def git_commit() -> str | None:
    """Return the commit of the checkout the package runs from, with ``+`` when it was edited."""

    def git(*words: str) -> str:
        # Without, a look takes the lock of the index, and who commits meanwhile is refused.
        command = ["git", "--no-optional-locks", "-C", str(PACKAGE), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != PACKAGE.parents[1]:
            return None  # installed into somebody else's repository
        edited = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if edited else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def run_record() -> dict[str, Any]:
    """Return when, on what kind of machine and with which versions a job runs.

    The host is described by kind, not by name, so that results can be shared.
    """
    versions = {}
    for name in _VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "scalebed": scalebed.__version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "versions": versions,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
