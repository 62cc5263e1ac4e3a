"""What the finished runs of a ladder say of the end of a run from its loss on the way.

At a fraction f of the schedule y = ln(loss at f / final response) is known for every rung. For a
run of other N and D it is predicted by a few simple regressions on ln N and ln M together, the more
weight the better one predicts each rung from the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array
from scalebed.tables.reader import StudyDatabase
from scalebed.watch.trend import Ratio, regress

WINDOW: Final = 0.05
"""Share of the schedule over which losses are averaged."""
FEWEST: Final = 6
"""Rungs that a comparison needs at the least: two axes then leave three degrees of freedom."""
_PEAK: Final = 0.95
"""Share of the peak of a learning rate at which its warm-up ends."""


@dataclass(frozen=True)
class Rung:
    """A finished run: fraction of the schedule, loss and learning rate of every row, (n,)."""

    name: str
    params: float
    tokens: float
    final: float
    fraction: Array
    loss: Array
    lr: Array


class Mean(NamedTuple):
    """Mean loss of a window of a curve, its standard error and rows."""

    value: float
    error: float
    rows: int


def window(fraction: Array, loss: Array, end: float) -> Mean | None:
    """Mean over (end - `WINDOW`, end] of the schedule; None without rows there.

    The standard error is that about a straight line.
    """
    inside = (fraction > end - WINDOW) & (fraction <= end + 1e-9)
    values = loss[inside]
    if not values.size:
        return None
    if values.size < 4:
        return Mean(float(values.mean()), np.nan, values.size)
    line = np.polynomial.polynomial.polyfit(fraction[inside] - end, values, 1)
    rest = values - np.polynomial.polynomial.polyval(fraction[inside] - end, line)
    spread = float(np.sqrt(np.sum(rest**2) / (values.size - 2)))
    return Mean(float(values.mean()), spread / np.sqrt(values.size), values.size)


def warm_up(fraction: Array, rate: Array) -> float:
    """Return the fraction at which a learning rate first comes near its peak so far; 0 at once."""
    first = int(np.argmax(rate >= _PEAK * rate.max()))
    return float(fraction[first]) if first else 0.0


def warmed_up(fraction: Array, rate: Array, at: float) -> bool:
    """Whether a run has gone on at a fraction for as long as its warm-up took, or longer."""
    there = fraction <= at + 1e-9
    return bool(there.any()) and 2 * warm_up(fraction[there], rate[there]) <= at + 1e-9


def ratio_at(
    rungs: Sequence[Rung], fraction: float, target: tuple[float, float], level: float
) -> Ratio:
    """Predict ln(loss at a fraction / final response) of a run.

    Rungs that were still warming up, or had been until shortly before, have no say.

    Parameters
    ----------
    rungs : sequence of Rung
    fraction : float
    target : tuple of float
        N and D of the run.
    level : float
        Content at which the normal has the interval of Student's t.

    Raises
    ------
    ScalebedError
        If there are too few rungs.
    """
    told = [
        rung
        for rung in rungs
        if not np.all(np.isfinite(rung.lr)) or warmed_up(rung.fraction, rung.lr, fraction)
    ]
    found = [(rung, window(rung.fraction, rung.loss, fraction)) for rung in told]
    known = [(rung, mean) for rung, mean in found if mean is not None and np.isfinite(mean.value)]
    if len(known) < FEWEST:
        raise ScalebedError(
            f"{len(known)} finished runs have a curve at {fraction:.0%} of their schedule and are "
            f"beyond their warm-up, expected at least {FEWEST}"
        )
    y = np.array([np.log(mean.value / rung.final) for rung, mean in known])
    x = np.array([axes_of(rung.params, rung.tokens) for rung, _ in known])
    variance = [(mean.error / mean.value) ** 2 for _, mean in known if np.isfinite(mean.error)]
    sampling = float(np.mean(variance)) if variance else 0.0
    ratio = regress(x, y, np.array(axes_of(*target)), level, sampling)
    largest = max(rung.params for rung, _ in known)
    smaller = ", all smaller than it" if largest < 0.999 * target[0] else ""
    words = f"{len(known)} runs of the ladder at this fraction{smaller}, {ratio.words}"
    return Ratio(ratio.value, ratio.sd, words, sampling)


def end_of(rungs: Sequence[Rung], target: tuple[float, float], level: float) -> Ratio:
    """Predict ln(final response) of a run by the same regressions, where nothing was sealed."""
    if len(rungs) < FEWEST:
        raise ScalebedError(f"the ladder has {len(rungs)} finished runs, expected {FEWEST}")
    y = np.log([rung.final for rung in rungs])
    x = np.array([axes_of(rung.params, rung.tokens) for rung in rungs])
    return regress(x, y, np.array(axes_of(*target)), level)


def axes_of(params: float, tokens: float) -> tuple[float, float]:
    """Return ln N and ln M."""
    return float(np.log(params)), float(np.log(tokens / params))


def read_ladder(source: str | Path, dataset: str | None, response: str | None) -> list[Rung]:
    """Return the finished cells of a study that have a curve and a final response.

    Parameters
    ----------
    source : str or Path
        Name or folder of a study, or its study.duckdb.
    dataset : str, optional
        Data set; needed where there are several.
    response : str, optional
        Validation set; the study's own if None or "loss".

    Raises
    ------
    ScalebedError
        If there is no database, or no such data set.
    """
    with StudyDatabase(database_of(source)) as study:
        found = response if response not in (None, "loss") else study.yardstick
        cells = study.rows(
            "SELECT cell, dataset, params, cells.tokens, loss FROM cells JOIN losses USING (cell) "
            "WHERE status = 'done' AND validation = ? ORDER BY cell",
            [found],
        )
        known = sorted({row["dataset"] for row in cells})
        if dataset is None and len(known) == 1:
            dataset = known[0]
        rows = [row for row in cells if row["dataset"] == dataset]
        if not rows:
            raise ScalebedError(
                f"{source} has no finished cells of {dataset!r} with loss {found!r}, expected a "
                f"data set of {', '.join(known) or 'none'}"
            )
        curves = _curves(study, [row["cell"] for row in rows])
    return [
        rung_of(row["cell"], row["params"], row["tokens"], row["loss"], *curves[row["cell"]])
        for row in rows
        if row["cell"] in curves
    ]


def rung_of(
    name: str, params: float, tokens: float, final: float, seen: Array, loss: Array, lr: Array
) -> Rung:
    """Return a rung from the tokens seen at every row of a curve."""
    return Rung(name, float(params), float(tokens), float(final), seen / seen[-1], loss, lr)


def database_of(source: str | Path) -> Path:
    """Return the database of a study by its name, folder or file."""
    path = Path(source)
    if path.suffix == ".duckdb":
        return path
    folder = path if path.is_dir() else Path("results") / "studies" / str(source)
    if not folder.is_dir():
        raise ScalebedError(
            f"there is no study {str(source)!r}, expected the name of a study in results/studies, "
            "its folder or its study.duckdb"
        )
    return folder / "study.duckdb"


def _curves(study: StudyDatabase, cells: Iterable[str]) -> dict[str, tuple[Array, Array, Array]]:
    wanted = json.dumps(list(cells))
    rows: list[dict[str, Any]] = study.rows(
        "SELECT cell, list(tokens ORDER BY step) AS tokens, list(loss ORDER BY step) AS loss, "
        "list(lr ORDER BY step) AS lr FROM curves "
        "WHERE cell IN (SELECT unnest(from_json(?, '[\"VARCHAR\"]'))) GROUP BY cell",
        [wanted],
    )
    return {
        row["cell"]: (
            np.array(row["tokens"], float),
            np.array([np.nan if value is None else value for value in row["loss"]]),
            np.array([np.nan if value is None else value for value in row["lr"]], float),
        )
        for row in rows
    }
