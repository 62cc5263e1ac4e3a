"""The fits of a tournament, shared out to processes; the result does not depend on their number."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scalebed.checks.tournament.entries import (
    BASELINE,
    Entry,
    error_entries,
    loss_entries,
    posterior_entry,
)
from scalebed.checks.tournament.redraw import Noise, Redraws
from scalebed.checks.tournament.scores import Score, judge
from scalebed.checks.tournament.splits import Split
from scalebed.checks.tournament.trials import Predicted, Trial, Tried, try_errors, try_losses
from scalebed.fit.options import Options
from scalebed.predict.runs import Runs

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Job(NamedTuple):
    """One entry on one split.

    Attributes
    ----------
    kind : {"loss", "error"}
    split, entry : int
        Numbers in `Field`.
    responses : tuple of str
        Validation sets, or tasks and averages.
    """

    kind: str
    split: int
    entry: int
    responses: tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """Everything the jobs of a tournament share.

    Attributes
    ----------
    runs : list of Runs
    splits : tuple of Split
    laws : (str, str)
        The study's loss law and error law that are fitted: a posterior has the fit beside.
    options : (dict, dict)
        Their options as JSON values.
    losses : list
        Measured and predicted losses of every split and data set, for error laws.
    redraws : (Redraws, Redraws)
        Deviations of the losses and of the errors of the fitted runs.
    only : tuple of str
        Laws that take part beside the study's own; all if empty.
    believed : dict, optional
        Options of the study's loss law as JSON values where that is a posterior.
    noises : dict
        Scatter of the responses by kind and split, as far as it was asked for.
    """

    runs: list[Runs]
    splits: tuple[Split, ...]
    laws: tuple[str, str]
    options: tuple[dict[str, Any], dict[str, Any]]
    losses: list[list[Predicted]]
    redraws: tuple[Redraws, ...]
    only: tuple[str, ...] = ()
    believed: dict[str, Any] | None = None
    noises: dict[tuple[str, int], dict[str, Noise]] = field(default_factory=dict)

    def entries(self, kind: str) -> tuple[list[Entry], int]:
        """Entries of a kind, and which of them is the study's own."""
        fitted = self.fitted(kind)
        options = fitted.options
        own = [fitted]
        if kind == "loss" and self.believed is not None:
            own.append(posterior_entry(Options.from_json(self.believed)))
        objective = Options(options.objective, options.delta)
        every = loss_entries() if kind == "loss" else error_entries(objective)
        kept = (*self.only, fitted.law, BASELINE)
        entries = [
            entry for entry in every if not self.only or entry.law in kept or _among(entry, own)
        ]
        entries += [entry for entry in own if not _among(entry, entries)]
        return entries, next(i for i, entry in enumerate(entries) if _among(entry, own[-1:]))

    def fitted(self, kind: str) -> Entry:
        """Return the law whose residuals tell how far the runs deviate: the study's, fitted."""
        at = ("loss", "error").index(kind)
        options = Options.from_json(self.options[at])
        route = "loss" if kind == "loss" else "two-step"
        return Entry(self.laws[at], f"{options.objective}, the study's options", options, route)

    def play(self, job: Job) -> list[Score]:
        """Scores of a job, one a response."""
        entry = self.entries(job.kind)[0][job.entry]
        noises = self._noises(job)
        trials, drawn = self._try(job, entry), self.redraws[job.kind == "error"]
        own = entry.route == "direct"
        return [judge(trials[name], drawn, None if own else noises[name]) for name in job.responses]

    def _try(self, job: Job, entry: Entry) -> dict[str, list[Trial]]:
        split = self.splits[job.split]
        if job.kind == "loss":
            return {name: try_losses(entry, split, self.runs, name) for name in job.responses}
        return try_errors(entry, split, self.runs, job.responses, self.losses[job.split])

    def _noises(self, job: Job) -> dict[str, Noise]:
        """Scatter of each response about the study's law on the split; found once."""
        key = job.kind, job.split
        if key not in self.noises:
            trials = self._try(job, self.fitted(job.kind))
            drawn = self.redraws[job.kind == "error"]
            self.noises[key] = {
                name: drawn.noise([one.fitted for one in found if isinstance(one, Tried)])
                for name, found in trials.items()
            }
        return self.noises[key]


def _among(entry: Entry, others: Iterable[Entry]) -> bool:
    """Whether an entry is one of these, whatever its objective is called."""
    same = ("law", "options", "posterior")
    return any(all(getattr(entry, key) == getattr(one, key) for key in same) for one in others)


_field: Field | None = None


def _begin(shared: Field) -> None:
    global _field
    _field = shared


def _play(job: Job) -> list[Score]:
    if _field is None:
        raise RuntimeError("a worker was started without its field")
    return _field.play(job)


def play_all(shared: Field, jobs: list[Job], workers: int) -> list[list[Score]]:
    """Scores of all jobs, in their order."""
    if workers < 2 or len(jobs) < 2:
        return [shared.play(job) for job in jobs]
    with _one_thread_each():
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _begin, (shared,)) as pool:
            return list(pool.map(_play, jobs))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Keep linear algebra in the workers from starting a thread for every core."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        _restore(before.items())


def _restore(values: Iterable[tuple[str, str | None]]) -> None:
    for name, value in values:
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
