"""How long evaluating will take, from what evaluating took so far."""

from pathlib import Path
from typing import NamedTuple

from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.study.trained import Study

STARTUP_SECONDS = 3.0
"""Importing torch and loading a model, once a job."""


class Job(NamedTuple):
    """What the plan knows of a cell to be evaluated."""

    cell: Cell
    to_train: bool
    """Whether it will be trained, and therefore evaluated again."""
    token_seconds: float | None
    """Seconds of training a token; None when unknown."""


class Evaluation(NamedTuple):
    """Estimated seconds of evaluating on one device; None when nothing tells."""

    losses: float | None
    tasks: float | None


def estimate_evaluation(study: Study, jobs: list[Job], root: Path) -> Evaluation:
    """Return the time that the missing evaluations will take.

    A cell costs what cells of its size cost before, else what the mean cell did. Before any
    losses were measured, a token costs a third of a training token, whose backward pass takes
    twice the time of the forward pass. For tasks there is no such rule.
    """
    losses = _Records(root, "losses.json", jobs)
    tokens = sum(validation.max_tokens for validation in study.validation.values())
    loss_seconds = []
    for job in losses.missing:
        known = losses.mean(job.cell.size)
        if known is None and job.token_seconds is not None:
            known = STARTUP_SECONDS + tokens * job.token_seconds / 3
        loss_seconds.append(known)
    if study.tasks is None:
        return Evaluation(_total(loss_seconds), 0.0)
    tasks = _Records(root, "tasks.json", jobs)
    return Evaluation(
        _total(loss_seconds), _total([tasks.mean(job.cell.size) for job in tasks.missing])
    )


def _total(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


class _Records:
    """Seconds of one kind of evaluation by size, and the jobs that lack it."""

    def __init__(self, root: Path, name: str, jobs: list[Job]) -> None:
        self.missing: list[Job] = []
        self._seconds: dict[str, list[float]] = {}
        for job in jobs:
            file = root / "results/cells" / job.cell.path / name
            if job.to_train or not file.is_file():
                self.missing.append(job)
            if file.is_file():
                self._note(job.cell.size, file)

    def _note(self, size: str, file: Path) -> None:
        try:
            seconds = float(read_json(file)["seconds"])
        except (ScalebedError, KeyError, TypeError, ValueError):
            # A damaged record tells no time; the rule that reads it will complain.
            return
        self._seconds.setdefault(size, []).append(seconds)

    def mean(self, size: str) -> float | None:
        """Return the mean over cells of a size, else over all, else None."""
        every = [second for some in self._seconds.values() for second in some]
        values = self._seconds.get(size) or every
        return sum(values) / len(values) if values else None
