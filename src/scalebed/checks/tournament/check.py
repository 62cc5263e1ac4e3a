"""The tournament as the workflow runs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from scalebed.checks.tournament.table import TABLE

if TYPE_CHECKING:
    from scalebed.predict.open_study import StudyFit

__all__ = ["TABLE", "THREADS", "lines", "measure"]

THREADS = 2


def measure(study: StudyFit, threads: int) -> list[dict[str, Any]]:
    """Return the rows of the table."""
    from scalebed.checks.tournament.play import Rules, run_tournament

    return run_tournament(study, Rules(workers=threads))


def lines(study: StudyFit, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Say in words what the rows hold."""
    from scalebed.checks.tournament.text import lines as text_lines
    from scalebed.checks.tournament.verdict import asked

    yield from text_lines(study, rows, asked(study))
