"""Decisions on simulated tables: what `benchmarks/decided.py` counts."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.covered.simulated import FORTY_EIGHT, SIXTEEN, Table, Theta, grid, law
from scalebed.decide.curve import Curve
from scalebed.decide.optimum import at_compute
from scalebed.decide.regret import SMALL, compute_regret, sizes_around, thinned, valley
from scalebed.decide.sources import table_curves
from scalebed.decide.surface import Surface
from scalebed.laws import get_law
from scalebed.predict.ask import table_settings
from scalebed.tables.runs_file import read_runs

TIMES = (1.0, 10.0, 100.0)
DESIGNS = {"16 runs": SIXTEEN, "48 runs": FORTY_EIGHT}
SCATTERS = (0.003, 0.01)
LAWS = ("tied", "chinchilla", "hoffmann")


class Counted(NamedTuple):
    """One table: whether N* and D* are inside, and whether three sizes of the range are small.

    Attributes
    ----------
    inside : bool array (times, 2)
    small : array (times, 3)
        1 or 0; NaN where there is no range.
    """

    inside: np.ndarray
    small: np.ndarray


def simulated(
    draw: np.random.Generator,
    theta: Theta,
    design: tuple[Sequence[float], Sequence[float]],
    scatter: float,
) -> Table:
    """Return a table of runs that deviate from a law independently."""
    one = grid(draw, theta, design)
    params, tokens = (np.asarray(one.columns[name]) for name in ("params", "tokens"))
    off = scatter * draw.standard_normal(params.size)
    one.columns["loss"] = (law(theta, params, tokens) * (1 + off)).tolist()
    return one


def curve_of(table: Table, draws: int) -> Curve:
    """Write a table, read it and draw its law, as a user's would be."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table.columns)
            writer.writerows(zip(*table.columns.values(), strict=True))
        runs = read_runs(path)
    (curve,) = table_curves(runs, table_settings(runs, draws=draws))
    return curve


def counted(curve: Curve, theta: Theta) -> Counted:
    """Hold the decisions of one curve against the known law."""
    true = Surface(get_law("chinchilla", "loss"), np.array([theta]))
    surface = Surface(curve.law, curve.theta)
    inside, small = np.zeros((len(TIMES), 2), bool), np.full((len(TIMES), 3), np.nan)
    for i, times in enumerate(TIMES):
        flops = times * curve.largest
        drawn, best = at_compute(surface, flops), at_compute(true, flops)
        for j, name in enumerate(("params", "tokens")):
            limits = curve.interval(getattr(drawn, name))
            inside[i, j] = limits is not None and limits[0] <= getattr(best, name)[0] <= limits[1]
        few = thinned(surface)
        sizes = sizes_around(at_compute(few, flops).params)
        found = valley(sizes, compute_regret(few, sizes, flops)).range
        if found is not None:
            named = np.array([found[0], np.sqrt(found[0] * found[1]), found[1]])
            small[i] = compute_regret(true, named, flops)[0] < SMALL
    return Counted(inside, small)


def line(name: str, found: Sequence[Counted]) -> str:
    """Say what was counted of one case."""
    inside = 100 * np.mean([one.inside for one in found], axis=0)
    small = np.stack([one.small for one in found])
    words = []
    for i, times in enumerate(TIMES):
        has = ~np.isnan(small[:, i, 0])
        shares = 100 * small[has, i].mean(axis=0) if has.any() else np.full(3, np.nan)
        words.append(
            f"{times:3.0f}x N* {inside[i, 0]:3.0f} D* {inside[i, 1]:3.0f} small "
            f"[{' '.join(f'{share:3.0f}' for share in shares)}] of {int(has.sum()):3}"
        )
    return f"{name:32} {' | '.join(words)}"


def cases(part: str) -> Iterator[tuple[str, str, str, float]]:
    """All cases whose name contains a text."""
    for scatter in SCATTERS:
        for design in DESIGNS:
            for truth in LAWS:
                name = f"{design}, {truth}, {100 * scatter:g} %"
                if part in name:
                    yield name, truth, design, scatter
