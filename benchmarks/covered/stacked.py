"""Errors by two laws at once: `decay` after the loss law, `neglog_compute` of the run, and both.

Both are drawn with the same random numbers, so their draws can be averaged (``mean``) or taken in
turn (``pool``, which contains that the two disagree). Two averages of tasks of the published
testbed, eight losses under the default posterior: the paper's cells, and seven splits of each data
set alone. Widths and scores are in points of error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.covered.measure import LEVEL, POSTERIOR, Array, Part, Scores, Way
from benchmarks.covered.testbed import LOSSES, alone_on_splits, with_tasks
from scalebed.predict.bootstrap import bootstrap
from scalebed.predict.build import build_stage, law_scatters
from scalebed.predict.draws import interval_of
from scalebed.predict.loss_stages import loss_stages
from scalebed.predict.runs import AVERAGE, Runs, collect_runs
from scalebed.predict.settings import Settings
from scalebed.predict.stages import Stage

CELLS, EVERY = "the paper's cells", "all tasks"
PARTS = ("decay", "neglog_compute")
Key = tuple[str, str, str]
"""Average, split, and way."""


def measured(folder: Path, loss: str, way: Way, draws: int) -> dict[Key, Scores]:
    """Score the four ways on one loss."""
    sets = collect_runs(with_tasks(folder), {EVERY: None})
    settings = replace(way.settings(draws), loss=loss, losses=(loss,))
    found: dict[Key, list[Scores]] = {}
    _judge(found, CELLS, sets, settings, far=True)
    for split, runs in alone_on_splits(sets, loss):
        _judge(found, split, [runs], settings, far=False)
    return {key: Scores.joined(parts) for key, parts in found.items()}


def _judge(
    found: dict[Key, list[Scores]], split: str, sets: list[Runs], settings: Settings, far: bool
) -> None:
    losses = loss_stages(sets, settings.loss, settings)
    for average in (AVERAGE, EVERY):
        stages = []
        for law in PARTS:
            own = replace(settings, error_law=law)
            scatters = law_scatters(sets, average, "error", own)
            stages.append(
                [
                    build_stage(runs, average, scatters, own, bootstrap, loss)
                    for runs, loss in zip(sets, losses, strict=True)
                ]
            )
        for runs, two, direct in zip(sets, *stages, strict=True):
            truth = runs.errors[average]
            asked = np.isfinite(truth) & ~two.used & runs.same_recipe
            if far:
                asked &= runs.tokens > 19 * runs.params
            for name, (draws, point) in _ways(two, direct).items():
                scores = _scores(draws[:, asked], point[asked], truth[asked])
                found.setdefault((average, split, name), []).append(scores)


def _ways(two: Stage, direct: Stage) -> dict[str, tuple[Array, Array]]:
    """Draws and predictions of each way."""
    parts = []
    for stage in (two, direct):
        if stage.draws is None or stage.point is None:
            raise ValueError(f"{stage.dataset}, {stage.law}: {stage.reason or 'no draws'}")
        parts.append((stage.draws, stage.point))
    (a, first), (b, second) = parts
    turn = np.arange(len(a))[:, None] % 2 == 0
    middle = (first + second) / 2
    both = {"mean": ((a + b) / 2, middle), "pool": (np.where(turn, a, b), middle)}
    return dict(zip(PARTS, parts, strict=True)) | both


def _scores(draws: Array, point: Array, truth: Array) -> Scores:
    low, high = interval_of(draws, LEVEL)
    beyond = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    width = high - low
    score = width + 2 / (1 - LEVEL) * beyond
    return Scores(beyond == 0, 100 * width, 100 * score, 100 * np.abs(point - truth))


def lines(found: Mapping[str, dict[Key, Scores]]) -> Iterator[str]:
    """Say what was measured: by average, by loss and by split."""
    yield "testbed, errors by two laws (rule: >= 86 % over all, no loss under 80 %, lowest score)"
    for way in (*PARTS, "mean", "pool"):
        picks: dict[str, list[Scores]] = {}
        for loss, scores in found.items():
            for (average, split, name), one in scores.items():
                if name == way:
                    for label in ("over all", average, loss, split):
                        picks.setdefault(label, []).append(one)
        for label, parts in picks.items():
            yield f"  {label:28} {way:16} {Scores.joined(parts)}"


def parts(folder: Path, ways: list[Way], draws: int) -> Iterator[Part]:
    """All losses."""
    if POSTERIOR in ways:
        jobs: dict[Any, Any] = {
            loss: partial(measured, folder, loss, POSTERIOR, draws) for loss in LOSSES
        }
        yield Part("testbed, stacked errors", jobs, lines)
