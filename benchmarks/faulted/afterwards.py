"""What a job that was hindered leaves: half a file, a wrong one, another number."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from damage import ROOTS
from readers import reader

from scalebed.core.errors import ScalebedError

_CLOCK = frozenset(
    (
        "run",
        "seconds",
        "wall_seconds",
        "tokens_per_second",
        "attempts",
        "peak_bytes",
        "trained_with",
    )
)
"""Keys and columns of what is not the same in two runs."""
REFUSED = "refused"
"""Value of a file that its reader refuses."""


def names(root: Path) -> set[Path]:
    """Return the files below results and state."""
    return {
        path.relative_to(root)
        for name in ROOTS
        for path in (root / name).rglob("*")
        if path.is_file()
    }


def junk(found: Iterable[Path]) -> list[str]:
    """Return files that nobody will ever ask for again."""
    return sorted(
        str(path)
        for path in found
        if path.suffix in (".wal", ".tmp", ".part")
        or (path.name.startswith(".") and path.suffix != ".sha256")
    )


def values(root: Path, base: Path, files: Iterable[Path]) -> dict[Path, str]:
    """Return a digest of what is read of each file that is there, without what clocks tell.

    Parameters
    ----------
    root, base
        The project, and the same as it was when its study had finished.
    files
        Where to look.
    """
    return {path: _value(root / path, base / path) for path in files if (root / path).exists()}


def _value(path: Path, original: Path) -> str:
    read = reader(path, original)
    try:
        content = path.read_bytes() if read is None else repr(_without_clock(read())).encode()
    except (ScalebedError, FileNotFoundError):
        return REFUSED
    return hashlib.sha256(content).hexdigest()


def _without_clock(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_clock(item) for key, item in value.items() if key not in _CLOCK}
    if isinstance(value, list | tuple):
        return [_without_clock(item) for item in value]
    return value


def restore(base: Path, root: Path) -> None:
    """Make results and state those of `base` again."""
    kept = names(base)
    for path in names(root) - kept:
        (root / path).unlink()
    for path in kept:
        was, now = (base / path).stat(), (root / path).stat() if (root / path).exists() else None
        same = now and (now.st_size, now.st_mtime_ns) == (was.st_size, was.st_mtime_ns)
        if not same:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).unlink(missing_ok=True)
            shutil.copy2(base / path, root / path)
