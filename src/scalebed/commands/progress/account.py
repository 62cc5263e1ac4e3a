"""Keep count of a run's jobs, and say what is worth a line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from scalebed.commands.progress.work import Work
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.plan.durations import duration

TRAININGS: Final = ("train_cell", "train_trunk")
_QUIET_SECONDS: Final = 30.0
"""After so long without a line, one says how far the run is."""


class Job(NamedTuple):
    """A job that runs."""

    rule: str
    wildcards: Mapping[str, str]
    outputs: tuple[str, ...]


class Account:
    """What has happened in a run.

    Parameters
    ----------
    clock
        Seconds, from any start.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said = clock()
        self.jobs: dict[int, Job] = {}
        self.done = self.total = self.cells = self.cells_done = 0
        self.work: Work | None = None

    def planned(self, stats: Mapping[str, int]) -> Iterator[str]:
        """Yield what the run will do, given how many jobs each rule has."""
        self.total, self.cells = stats.get("total", 0), stats.get("train_cell", 0)
        trunks = stats.get("train_trunk", 0)
        self.work = Work(self.cells + trunks, self._clock)
        parts = [_many(self.total, "job")]
        if self.cells:
            parts.append(f"{_many(self.cells, 'cell')} to train")
        if trunks:
            parts.append(f"{_many(trunks, 'piece')} of trunks")
        yield self._line(", ".join(parts))

    def begins(self, number: int, job: Job) -> None:
        """Note that a job begins."""
        self.jobs[number] = job
        if self.work and job.rule in TRAININGS and job.outputs:
            self.work.begin(job.outputs[0])

    def ends(self, number: int) -> Iterator[str]:
        """Yield a line about a job that is over, if it trained a cell."""
        job = self.jobs.pop(number, None)
        self.done += 1
        if job is None:
            return
        if self.work and job.rule in TRAININGS and job.outputs:
            self.work.end(job.outputs[0])
        if job.rule == "train_cell":
            self.cells_done += 1
            yield self._line(f"{cell_text(job)}  [{self.status()}]")

    def fails(self, number: int) -> None:
        """Note that a job has failed."""
        job = self.jobs.pop(number, None)
        if self.work and job and job.outputs:
            self.work.end(job.outputs[0])

    def waits(self) -> Iterator[str]:
        """Yield how far the run is, if nothing was said for a while."""
        if self._clock() - self._said >= _QUIET_SECONDS:
            yield self._line(self.status(running=True))

    def status(self, running: bool = False) -> str:
        """Return how far the run is, in a few words."""
        parts = [f"{self.done} of {_many(self.total, 'job')}"]
        if self.cells:
            parts.insert(0, f"{self.cells_done} of {_many(self.cells, 'cell')}")
        left = self.work.left() if self.work else None
        if left:
            parts.append(f"training for about {duration(left, True)} more")
        if running and self.jobs:
            parts.append("now " + ", ".join(sorted({job.rule for job in self.jobs.values()})))
        return "; ".join(parts)

    def _line(self, text: str) -> str:
        self._said = self._clock()
        return text


def cell_text(job: Job) -> str:
    """Name a cell that was trained, and say how it ended."""
    named = [job.wildcards.get(name, "?") for name in ("dataset", "size")]
    named.append(f"M={job.wildcards.get('ratio', '?')}")
    named += [
        f"{name}={job.wildcards[name]}"
        for name, usual in (("recipe", "base"), ("seed", "0"))
        if job.wildcards.get(name, usual) != usual
    ]
    return f"{' '.join(named)}: {_ended(job.outputs)}"


def _ended(outputs: tuple[str, ...]) -> str:
    records = [path for path in outputs if path.endswith("metrics.json")]
    try:
        record: dict[str, Any] = read_json(records[0])
        status = record["status"]
        if status != "done":
            return f"{status}: {record.get('reason') or 'no reason is recorded'}"
        return f"training loss {record['train_loss']:.4f}, {duration(record['seconds'], True)}"
    except (ScalebedError, IndexError, KeyError, TypeError, ValueError):
        # The jobs that read it will say what is wrong with it.
        return "over, its record cannot be read"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
