"""The decisions of a study as the workflow finds them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from scalebed.checks.decisions.table import TABLE

if TYPE_CHECKING:
    from scalebed.predict.open_study import StudyFit

__all__ = ["TABLE", "THREADS", "lines", "measure"]

THREADS = 1


def measure(study: StudyFit, threads: int) -> list[dict[str, Any]]:
    """Return the rows of the table."""
    from scalebed.checks.decisions.decisions import decisions

    return decisions(study)


def lines(study: StudyFit, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Say in words what the rows hold."""
    from scalebed.checks.decisions import text

    yield from text.lines(rows)
