"""Coverage against width: what an interval of another level would cover, and how wide it would be.

Two rows of the table that the other cases measure, over eight losses of the published testbed: the
paper's cells (five a data set, all others of M >= 20 predicted) and seven splits of all runs, every
data set alone. A level costs nothing beside another: the draws are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from benchmarks.covered.measure import POSTERIOR, TIED, Way
from benchmarks.covered.simulated import ROBUST
from benchmarks.covered.testbed import LOSSES, alone_on_splits, tables_of
from scalebed.predict.draws import interval_of
from scalebed.predict.loss_stages import loss_stages
from scalebed.predict.runs import Runs, collect_runs
from scalebed.report.figures.style import CATEGORIES

LEVELS = (0.7, 0.8, 0.9, 0.95, 0.99)
WAYS = {
    "tied law, least squares": TIED,
    "tied law, Huber": ROBUST,
    "posterior (default)": POSTERIOR,
}
CELLS, ALONE = "the paper's cells: 520 others", "seven splits, each data set alone"
Row = dict[str, Any]


def measured(folder: Path, loss: str, draws: int) -> Iterator[Row]:
    """Return rows of one loss: cells, how many are covered, and the sum of log widths."""
    sets = collect_runs(tables_of(folder))
    for name, way in WAYS.items():
        found = [_judged(sets, loss, way, draws, far=True)]
        yield from _rows(CELLS, name, loss, found)
        found = [
            _judged([runs], loss, way, draws, far=False) for _, runs in alone_on_splits(sets, loss)
        ]
        yield from _rows(ALONE, name, loss, found)


def _judged(
    sets: list[Runs], loss: str, way: Way, draws: int, far: bool
) -> Mapping[float, tuple[Any, Any]]:
    """Whether each run is inside by level, and the width of its interval over the loss."""
    settings = replace(way.settings(draws), loss=loss, losses=(loss,))
    found: dict[float, list[tuple[Any, Any]]] = {level: [] for level in LEVELS}
    for runs, stage in zip(sets, loss_stages(sets, loss, settings), strict=True):
        truth = runs.loss(loss)
        asked = np.isfinite(truth) & ~stage.used & runs.same_recipe
        if far:
            asked &= runs.tokens > 19 * runs.params
        for level, parts in found.items():
            if stage.draws is None:
                parts.append((np.zeros(asked.sum(), bool), np.full(asked.sum(), np.nan)))
                continue
            low, high = interval_of(stage.draws[:, asked], level) / truth[asked]
            parts.append(((low <= 1) & (high >= 1), high - low))
    joined = {level: zip(*parts, strict=True) for level, parts in found.items()}
    return {
        level: tuple(np.concatenate(column) for column in columns)  # type: ignore[misc]
        for level, columns in joined.items()
    }


def _rows(
    design: str, way: str, loss: str, found: list[Mapping[float, tuple[Any, Any]]]
) -> Iterator[Row]:
    for level in LEVELS:
        inside, width = (np.concatenate([one[level][k] for one in found]) for k in (0, 1))
        yield {
            "design": design,
            "way": way,
            "loss": loss,
            "level": level,
            "cells": int(inside.size),
            "covered": int(inside.sum()),
            "log_width": float(np.nansum(np.log(width))),
            "intervals": int(np.isfinite(width).sum()),
        }


def traded(folder: Path, kept: Path, draws: int) -> pd.DataFrame:
    """Measure the losses that a file of rows has not, and add them to it."""
    frame = pd.read_csv(kept) if kept.is_file() else pd.DataFrame()
    for loss in LOSSES:
        if frame.empty or loss not in set(frame["loss"]):
            frame = pd.concat([frame, pd.DataFrame(measured(folder, loss, draws))])
            frame.to_csv(kept, index=False)
    return frame


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the losses together: share covered and geometric mean of the widths, per cent."""
    keys = ["design", "way", "level"]
    total = frame.groupby(keys, sort=False)[["cells", "covered", "log_width", "intervals"]].sum()
    total["coverage"] = 100 * total["covered"] / total["cells"]
    total["width"] = 100 * np.exp(total["log_width"] / total["intervals"])
    return total.reset_index()


def chart(frame: pd.DataFrame) -> alt.TopLevelMixin:
    """Return a panel a design, a line a way, a point a level."""
    found = summary(frame)
    base = alt.Chart(found).encode(
        x=alt.X(
            "width:Q",
            title="width, geometric mean, % of the loss",
            scale=alt.Scale(type="log", nice=False, padding=12),
            axis=alt.Axis(values=[1, 2, 3, 5, 7, 10, 15, 20, 30, 50], grid=False),
        ),
        y=alt.Y("coverage:Q", title="covered, %", scale=alt.Scale(zero=False)),
        color=alt.Color("way:N", title=None, sort=None, scale=alt.Scale(range=list(CATEGORIES))),
    )
    line = base.mark_line(strokeWidth=1.5).encode(order="level:Q")
    points = base.mark_point(filled=True, opacity=1).encode(
        shape=alt.Shape("level:O", title="nominal", sort=None, legend=alt.Legend(format=".0%")),
        size=alt.condition("datum.level == 0.9", alt.value(110), alt.value(40)),
    )
    rule = alt.Chart(found).mark_rule(strokeDash=[3, 3], opacity=0.6).encode(y=alt.datum(90))
    panel = alt.layer(rule, line, points).properties(width=300, height=260)
    return (
        panel.facet(column=alt.Column("design:N", title=None, sort=None))
        .resolve_scale(x="independent", y="independent")
        .properties(title="Coverage against width, eight losses of the published testbed")
    )
