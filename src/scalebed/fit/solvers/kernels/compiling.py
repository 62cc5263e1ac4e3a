"""How kernels are compiled: cached on disk, without the interpreter's lock, errors as in NumPy.

Numba compiles a function anew when its own file changes, but not when a function it calls lies in
another file that changed. So the cache lies in a folder named after all sources of this package.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba import njit

# Sums may be reordered, which is what spreads them over lanes; infinities and NaN keep their sense.
_RELAXED = {"reassoc", "nsz", "contract"}


def _fingerprint() -> str:
    digest = hashlib.sha256()
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
        if os.access(folder, os.W_OK):
            return str(folder)
    return None


_FOLDER = _folder()


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function on its first call, with sums in the order they are written."""
    return _compile(function, relaxed=False)


def vectorised(function: Callable[..., Any]) -> Any:
    """Compile a function whose sums may be spread over the lanes of a vector."""
    return _compile(function, relaxed=True)


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
