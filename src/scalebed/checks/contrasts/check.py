"""The contrasts as the workflow makes them: every pair of data sets at every target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from scalebed.checks.contrasts.table import TABLE

if TYPE_CHECKING:
    from scalebed.predict.open_study import StudyFit

__all__ = ["TABLE", "THREADS", "lines", "measure"]

THREADS = 1


def measure(study: StudyFit, threads: int) -> list[dict[str, Any]]:
    """Return the rows of the table."""
    from scalebed.checks.contrasts.compare import contrast_all

    return contrast_all(study)


def lines(study: StudyFit, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Say in words what the rows hold."""
    from scalebed.checks.contrasts import text

    yield from text.lines(study.name, rows)
