"""How long the trainings of a run will take still, from their FLOPs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

EXPECTED: Final[dict[str, float]] = {}
"""FLOPs of the trainings of the study by the record that each makes; the workflow fills it."""
_ENOUGH: Final = 0.02
"""Share of the work that must be done before a rate is believed."""


def expect(work: Mapping[str, float]) -> None:
    """Say what trainings there are; called while the workflow is read.

    Parameters
    ----------
    work
        FLOPs of a training by the path of its record.
    """
    EXPECTED.clear()
    EXPECTED.update(work)


class Work:
    """The trainings of one run.

    Parameters
    ----------
    jobs
        How many trainings the run has.
    clock
        Seconds, from any start.
    """

    def __init__(self, jobs: int, clock: Callable[[], float]) -> None:
        missing = [flops for path, flops in EXPECTED.items() if not Path(path).exists()]
        # Stale ones have a record; what they cost is not known here, so it is the mean.
        mean = sum(EXPECTED.values()) / len(EXPECTED) if EXPECTED else 0.0
        self.total = sum(missing) + mean * max(0, jobs - len(missing))
        self._clock = clock
        self._begun: dict[str, float] = {}
        self._start: float | None = None
        self._done = 0.0

    def begin(self, path: str) -> None:
        """Note that a training begins."""
        self._begun[path] = self._clock()
        self._start = self._begun[path] if self._start is None else self._start

    def end(self, path: str) -> None:
        """Note that a training is over, however it ended."""
        if self._begun.pop(path, None) is not None:
            self._done += EXPECTED.get(path, 0.0)

    def left(self) -> float | None:
        """Return the seconds that trainings will take still; None before there is a rate."""
        if self._start is None or not self._done > _ENOUGH * self.total:
            return None
        now = self._clock()
        rate = self._done / (now - self._start)
        # Those that run have done what the rate allows each of them, and all but the end of it.
        each = rate / max(1, len(self._begun))
        under_way = sum(
            min(0.95 * EXPECTED.get(path, 0.0), each * (now - begun))
            for path, begun in self._begun.items()
        )
        return max(0.0, self.total - self._done - under_way) / rate
