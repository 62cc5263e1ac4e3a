"""How kernels are compiled: cached on disk, without the interpreter's lock, errors as in NumPy.

Numba compiles a function anew when its own file changes, but not when a function it calls lies in
another file that changed. So the cache lies in a folder named after all sources of this package,
and after where they lie, since Numba takes nothing from the cache of a copy.

A process that goes on with what it compiled gets results that differ in the last bits from those of
the processes that load the same kernels from the cache (measured; why is not known). So what Python
calls is compiled in a process that then ends, by the first of all that need it.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import importlib
import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from llvmlite import binding  # type: ignore[import-untyped]
from numba import njit

# Sums may be reordered, which is what spreads them over lanes; infinities and NaN keep their sense.
_RELAXED = {"reassoc", "nsz", "contract"}


def _fingerprint() -> str:
    """Digest of the sources, their place and what numba compiles for: versions and processor."""
    place = str(Path(__file__).parent)
    target = (place, sys.version, numba.__version__, binding.get_host_cpu_name())
    digest = hashlib.sha256(repr((*target, binding.get_host_cpu_features().flatten())).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _folder() -> str | None:
    """Folder for compiled code, or None if there is none that can be written."""
    named, here = os.environ.get("NUMBA_CACHE_DIR"), Path(__file__).parent / "__pycache__"
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scalebed"
    for base in [Path(named)] if named else [here, users]:
        folder = base / f"kernels-{_fingerprint()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK) and _is_trusted(folder):
            return str(folder)
    return None


def _is_trusted(folder: Path) -> bool:
    """Whether only this user, root and who installed the package can write there: it holds code."""
    about = folder.stat()
    return about.st_uid in (0, os.getuid(), Path(__file__).stat().st_uid) and not (
        stat.S_IMODE(about.st_mode) & stat.S_IWOTH
    )


_FOLDER = _folder()


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function on its first call, with sums in the order they are written."""
    return _compile(function, relaxed=False)


def vectorised(function: Callable[..., Any]) -> Any:
    """Compile a function whose sums may be spread over the lanes of a vector."""
    return _compile(function, relaxed=True)


def entry(function: Callable[..., Any]) -> Any:
    """As `compiled`, for what Python calls: compiled by another process where nothing is cached."""
    kernel = compiled(function)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        if not kernel.overloads:
            _compile_apart(function, tuple(map(numba.typeof, arguments)))
        return kernel(*arguments)

    call.kernel = kernel  # type: ignore[attr-defined]
    return call


def _compile_apart(function: Callable[..., Any], types: tuple[Any, ...]) -> None:
    """Fill the cache once; who comes meanwhile waits. Where that fails, the caller compiles."""
    if _FOLDER is None:
        return
    place = Path(_FOLDER) / function.__module__.rpartition(".")[2]
    done = place.with_suffix(f".{function.__name__}")
    if done.exists():
        return
    with place.with_suffix(".lock").open("w") as lock:
        # Not every file system of a cluster has locks; then some work is done twice.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            words = [sys.executable, "-c", f"import {__name__} as c; c.compile_given()"]
            given = pickle.dumps((function.__module__, function.__name__, types))
            if subprocess.run(words, input=given, check=False).returncode == 0:
                done.touch()


def compile_given() -> None:
    """Compile the entry and the types that standard input names."""
    module, name, types = pickle.load(sys.stdin.buffer)
    getattr(importlib.import_module(module), name).kernel.compile(types)


def _compile(function: Callable[..., Any], relaxed: bool) -> Any:
    config: Any = numba.config
    before = config.CACHE_DIR
    if _FOLDER is not None:
        config.CACHE_DIR = _FOLDER
    try:
        decorate = njit(
            cache=_FOLDER is not None,
            nogil=True,
            error_model="numpy",
            fastmath=_RELAXED if relaxed else False,
        )
        return decorate(function)
    finally:
        config.CACHE_DIR = before
