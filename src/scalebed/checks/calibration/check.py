"""The calibration as the workflow runs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from scalebed.checks.calibration.table import TABLE

if TYPE_CHECKING:
    from scalebed.predict.open_study import StudyFit

__all__ = ["TABLE", "THREADS", "lines", "measure"]

THREADS = 1


def measure(study: StudyFit, threads: int) -> list[dict[str, Any]]:
    """Return the rows of the table."""
    from scalebed.checks.calibration.calibrate import calibrate_study

    return calibrate_study(study)


def lines(study: StudyFit, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Say in words what the rows hold."""
    from scalebed.checks.calibration import text

    if not rows:
        yield f"{study.name} is {text.TOO_SMALL}"
    yield from text.lines(rows)
    yield from (f"note: {sentence}" for sentence in text.remarks(rows))
