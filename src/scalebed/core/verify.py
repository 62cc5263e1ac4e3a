"""Checking a big file against the manifest beside it before it is used."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from scalebed.core.files import quarantine, sha256_file

Level = Literal["size", "sha256"]
# Files found good by this process, by path, size and time of change.
_GOOD: set[tuple[str, int, int]] = set()


def entry(path: Path) -> dict[str, Any]:
    """Return how a manifest describes a finished file beside it."""
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path)}


def verified(manifest: Path, described: Mapping[str, Any], level: Level = "sha256") -> Path:
    """Return the path of the file described by `described` (``name``, ``bytes``, ``sha256``).

    The content is hashed once per process and file; with `level` ``"size"`` never.

    Raises
    ------
    ScalebedError
        If the file is missing or differs from the manifest, which is then set aside so that the
        next run rebuilds both.
    """
    path = manifest.parent / described["name"]
    if not path.is_file():
        quarantine(manifest, f"{path} is missing, expected {described['bytes']} bytes")
    stat = path.stat()
    if stat.st_size != described["bytes"]:
        quarantine(manifest, f"{path} has {stat.st_size} bytes, expected {described['bytes']}")
    mark = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    if level == "sha256" and mark not in _GOOD:
        found = sha256_file(path)
        if found != described["sha256"]:
            quarantine(
                manifest, f"{path} has SHA-256 {found[:12]}…, expected {described['sha256'][:12]}…"
            )
        _GOOD.add(mark)
    return path
