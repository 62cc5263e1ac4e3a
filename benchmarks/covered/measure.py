"""What all cases share: ways to draw, the table a user brings, and what its intervals are worth."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scalebed.fit.options import Options
from scalebed.predict.settings import Settings
from scalebed.predict.table import Target, fit_table
from scalebed.tables.runs_file import read_runs

LEVEL = 0.9

Array = npt.NDArray[np.float64]
Columns = Mapping[str, Sequence[Any]]
At = tuple[str | None, float, float]
"""Data set (None for the only one), N and D of what is predicted."""


@dataclass(frozen=True)
class Way:
    """A way to draw the loss law."""

    interval: str
    law: str
    objective: str = "sse"

    def __str__(self) -> str:
        return f"{self.interval} {self.law}{'' if self.objective == 'sse' else ' robust'}"

    def settings(self, draws: int) -> Settings:
        """Return settings of `scalebed fit`."""
        return Settings(
            loss_law=self.law,
            error_law="decay",
            loss="loss",
            losses=("loss",),
            per_task=False,
            draws=draws,
            level=LEVEL,
            seed=0,
            interval=self.interval,
            loss_options=Options(self.objective),
        )


TIED = Way("bootstrap", "tied")
POSTERIOR = Way("posterior", "chinchilla")
WAYS = {way.interval: way for way in (TIED, POSTERIOR)}


@dataclass(frozen=True)
class Part:
    """Some lines of the result: jobs that run anywhere, in any order, and what to make of them."""

    name: str
    jobs: Mapping[Any, Callable[[], Any]]
    lines: Callable[[Mapping[Any, Any]], Iterator[str]]


@dataclass(frozen=True)
class Scores:
    """What intervals are worth, an entry a prediction; in per cent of what was measured.

    Attributes
    ----------
    inside : bool array
        Where there is no interval, nothing is inside it.
    width : array
        NaN without an interval, as `score` is.
    score : array
        The width, and 20 times (2 / (1 - level)) the distance by which a run lies outside.
    error : array
        Distance of the prediction.
    """

    inside: npt.NDArray[np.bool_]
    width: Array
    score: Array
    error: Array

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], measured: Sequence[float]) -> Scores:
        """Score predictions with ``predicted``, ``lower`` and ``upper``."""
        names = ("lower", "upper", "predicted")
        found = np.array([[row[name] for name in names] for row in rows], dtype=float)
        low, high, middle = (found / np.asarray(measured)[:, None]).reshape(-1, 3).T
        width = high - low
        beyond = np.maximum(low - 1, 0) + np.maximum(1 - high, 0)
        score = width + 2 / (1 - LEVEL) * beyond
        inside = (low <= 1) & (high >= 1)
        return cls(inside, 100 * width, 100 * score, 100 * np.abs(middle - 1))

    @classmethod
    def joined(cls, parts: Sequence[Scores]) -> Scores:
        """Put predictions in a row."""
        names = ("inside", "width", "score", "error")
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def take(self, use: npt.NDArray[np.bool_]) -> Scores:
        """Return some of the predictions."""
        return Scores(self.inside[use], self.width[use], self.score[use], self.error[use])

    def __str__(self) -> str:
        none = int(np.isnan(self.width).sum())
        return (
            f"{100 * self.inside.mean():5.1f} % of {self.inside.size:4}  "
            f"score {np.nanmean(self.score):6.2f}  width {np.nanmedian(self.width):6.2f}  "
            f"error {np.nanmean(self.error):5.2f}{f'  {none} without interval' if none else ''}"
        )


def record_of(columns: Columns, targets: Sequence[At], settings: Settings) -> dict[str, Any]:
    """Write a table, read it and fit it, as a user's would be."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        asked = tuple(Target(params, tokens, name) for name, params, tokens in targets)
        return fit_table(read_runs(path), asked, settings)


def in_order(record: Mapping[str, Any], targets: Sequence[At]) -> list[Mapping[str, Any]]:
    """Return the predictions of a record in the order of the targets."""
    found = {(row["dataset"], row["params"], row["tokens"]): row for row in record["predictions"]}
    return [found[name or "all", params, tokens] for name, params, tokens in targets]
