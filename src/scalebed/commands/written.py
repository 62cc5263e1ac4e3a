"""What is said of a file that was written: its name, and what was there before."""

from __future__ import annotations

from pathlib import Path


def written(path: Path, before: bool) -> str:
    """Return the line on a file; `before` tells whether there was one of that name."""
    return f"written: {path}{', in place of the file that was there' if before else ''}"
