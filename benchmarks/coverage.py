"""How often intervals of `scalebed fit` cover, on tables as people bring them.

    python benchmarks/coverage.py                                # simulated tables, 200 of each
    python benchmarks/coverage.py --case checkpoints --replicates 20
    python benchmarks/coverage.py --testbed ../shared/testbed --zoo ../shared/zoo

Every simulated table is written, read and fitted as a user's would be; what is predicted is a new
run, with its own deviation from the law. Nominal coverage is 90 %. A row of the result is a case
and a way to draw: the share of predictions inside with its standard error over tables, the median
width in per cent, the same over the width of the true law's own fit where it is known, and the mean
score (width plus 20 times the distance by which a run lies outside, per cent).
"""

from __future__ import annotations

import sys

# numba asks for the package `coverage`, which is not this file.
sys.path.pop(0)

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scalebed.predict.settings import Settings
from scalebed.predict.table import Target, fit_table
from scalebed.tables.runs_file import read_runs

LEVEL = 0.9
TIED = (1.84, 166.0, 287.0, 0.273, 0.273)
TRUTHS = {
    "tied": TIED,
    "chinchilla": (1.8172, 482.0, 2085.0, 0.3478, 0.3658),
    "hoffmann": (1.69, 406.4, 410.7, 0.34, 0.28),
    "steep": (1.8, 120.0, 5545.0, 0.25, 0.40),
}
# Larger than all runs of the small designs, and over-trained.
FAR = [(2e9, 4e10), (7e9, 1.4e11), (1.4e9, 640 * 1.4e9)]

Draw = np.random.Generator
Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Table:
    """One simulated table: its columns, what is asked, and what came out there."""

    columns: Columns
    targets: list[tuple[str | None, float, float]]
    truth: list[float]


@dataclass(frozen=True)
class Case:
    """A kind of table, and what is asked of the coverage."""

    name: str
    make: Callable[[Draw], Table]
    asked: str
    own_law: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def law(theta: tuple[float, ...], params: Any, tokens: Any) -> Any:
    """E + A N^-alpha + B D^-beta."""
    floor, size, data, alpha, beta = theta
    return floor + size * params**-alpha + data * tokens**-beta


def new_runs(draw: Draw, theta: tuple[float, ...], at: list[tuple[float, float]], sd: float) -> Any:
    """Losses of new runs."""
    params, tokens = np.array(at).T
    return law(theta, params, tokens) * (1 + sd * draw.standard_normal(params.size))


def repeats(seeds: int) -> Callable[[Draw], Table]:
    """Five designs, each with some seeds: they share what the design is off the law."""

    def make(draw: Draw) -> Table:
        params = np.array([2e7, 8e7, 1.6e8, 4e8, 2e7])
        tokens = params * np.array([20, 20, 20, 20, 320])
        design = np.repeat(np.arange(5), seeds)
        off = (0.008 * draw.standard_normal(5))[design]
        loss = law(TIED, params[design], tokens[design])
        loss = loss * (1 + off + 0.003 * draw.standard_normal(design.size))
        columns = {
            "params": params[design].tolist(),
            "tokens": tokens[design].tolist(),
            "loss": loss.tolist(),
            "seed": np.tile(np.arange(seeds), 5).tolist(),
        }
        truth = new_runs(draw, TIED, FAR, float(np.hypot(0.008, 0.003)))
        return Table(columns, [(None, *at) for at in FAR], truth.tolist())

    return make


def checkpoints(count: int) -> Callable[[Draw], Table]:
    """Six runs, each measured at several checkpoints."""

    def make(draw: Draw) -> Table:
        sizes = np.geomspace(2e7, 4e8, 6)
        run = np.repeat(np.arange(6), count)
        params = sizes[run]
        tokens = params * np.tile(np.geomspace(4, 40, count), 6)
        off = (0.01 * draw.standard_normal(6))[run]
        loss = law(TIED, params, tokens) * (1 + off + 0.002 * draw.standard_normal(run.size))
        columns = {
            "run": [f"run {i}" for i in run.tolist()],
            "params": params.tolist(),
            "tokens": tokens.tolist(),
            "loss": loss.tolist(),
        }
        truth = new_runs(draw, TIED, FAR, float(np.hypot(0.01, 0.002)))
        return Table(columns, [(None, *at) for at in FAR], truth.tolist())

    return make


def sixteen(theta: tuple[float, ...], shared: float = 0.0) -> Callable[[Draw], Table]:
    """Four sizes at four token multipliers; predicted at 10, 30 and 100 times the largest run."""

    def make(draw: Draw) -> Table:
        params = np.repeat([2e7, 8e7, 1.6e8, 4e8], 4)
        tokens = params * np.tile([20, 40, 80, 160], 4)
        off = np.repeat(shared * draw.standard_normal(4), 4) + 0.003 * draw.standard_normal(16)
        loss = law(theta, params, tokens) * (1 + off)
        most = float(np.max(6 * params * tokens))
        at = [
            (np.sqrt(times * most / 6 / multiplier), np.sqrt(times * most / 6 * multiplier))
            for times in (10, 30, 100)
            for multiplier in (20, 200)
        ]
        columns = {"params": params.tolist(), "tokens": tokens.tolist(), "loss": loss.tolist()}
        truth = new_runs(draw, theta, at, float(np.hypot(shared, 0.003)))
        return Table(columns, [(None, *one) for one in at], truth.tolist())

    return make


def two_sets(first: float, second: float) -> Callable[[Draw], Table]:
    """Eight runs of one data set beside five of another, with scatters of their own."""

    def make(draw: Draw) -> Table:
        columns: Columns = {"dataset": [], "params": [], "tokens": [], "loss": []}
        targets, truth = [], []
        eight = [2e7, 4e7, 8e7, 1.6e8, 4e8, 2e7, 8e7, 4e7], [20, 20, 20, 20, 20, 320, 80, 160]
        five = [2e7, 8e7, 1.6e8, 4e8, 2e7], [20, 20, 20, 20, 320]
        for name, (sizes, ratios), sd in (("first", eight, first), ("second", five, second)):
            params = np.array(sizes)
            tokens = params * np.array(ratios, float)
            loss = law(TIED, params, tokens) * (1 + sd * draw.standard_normal(params.size))
            columns["dataset"] += [name] * params.size
            for key, values in (("params", params), ("tokens", tokens), ("loss", loss)):
                columns[key] += values.tolist()
            targets += [(name, *at) for at in FAR]
            truth += new_runs(draw, TIED, FAR, sd).tolist()
        return Table(columns, targets, truth)

    return make


CASES = [
    *(Case(f"repeats, {k} seeds", repeats(k), "85-95 %") for k in (1, 2, 3, 5)),
    *(Case(f"checkpoints, {k} of 6 runs", checkpoints(k), "85-95 %") for k in (3, 10, 40, 100)),
    *(
        Case(
            f"16 runs, {name}",
            sixteen(theta),
            ">= 85 % each, width <= 2.5",
            "tied" if name == "tied" else "chinchilla",
        )
        for name, theta in TRUTHS.items()
    ),
    Case("16 runs, shared by size", sixteen(TIED, 0.01), ">= 85 % each, width <= 2.5", "tied"),
    *(
        Case(f"two data sets, 1 % and {percent:g} %", two_sets(0.01, percent / 100), "86-94 % each")
        for percent in (1.0, 0.3, 0.1)
    ),
]


def settings(interval: str, loss_law: str, draws: int) -> Settings:
    """Return settings of `scalebed fit`."""
    return Settings(
        loss_law=loss_law,
        error_law="decay",
        loss="loss",
        losses=("loss",),
        per_task=False,
        draws=draws,
        level=LEVEL,
        seed=0,
        interval=interval,
    )


def predicted(table: Table, chosen: Settings, folder: Path) -> list[dict[str, Any]]:
    """Write the table, read it, fit it; predictions in the order of the targets."""
    path = folder / "runs.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table.columns)
        writer.writerows(zip(*table.columns.values(), strict=True))
    targets = tuple(Target(params, tokens, name) for name, params, tokens in table.targets)
    rows = fit_table(read_runs(path), targets, chosen)["predictions"]
    key = {(row["dataset"], row["params"], row["tokens"]): row for row in rows}
    return [key[name or "all", params, tokens] for name, params, tokens in table.targets]


def measure(case: Case, way: tuple[str, str], replicates: int, draws: int) -> dict[str, Any]:
    """Coverage, widths and scores of one case: arrays (tables, targets)."""
    chosen = settings(*way, draws)
    inside, width, score = [], [], []
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for replicate in range(replicates):
            table = case.make(np.random.default_rng([20261127, replicate]))
            rows = predicted(table, chosen, Path(folder))
            truth = np.array(table.truth)
            ends = (
                np.array([[row["lower"], row["upper"]] for row in rows], dtype=float)
                / truth[:, None]
            )
            known = np.isfinite(ends).all(1)
            inside.append((ends[:, 0] <= 1) & (ends[:, 1] >= 1) & known)
            width.append(ends[:, 1] - ends[:, 0])
            beyond = np.maximum(ends[:, 0] - 1, 0) + np.maximum(1 - ends[:, 1], 0)
            score.append(width[-1] + 2 / (1 - LEVEL) * beyond)
    return {
        "inside": np.array(inside),
        "width": 100 * np.array(width),
        "score": 100 * np.array(score),
        "seconds": (time.process_time() - start) / replicates,
    }


def lines(case: Case, ways: list[tuple[str, str]], replicates: int, draws: int) -> Iterator[str]:
    """Measure one case, a line a way."""
    own = None
    if case.own_law:
        own = np.nanmedian(
            measure(case, ("bootstrap", case.own_law), replicates, draws)["width"], 0
        )
    for way in ways:
        found = measure(case, way, replicates, draws)
        inside, width = found["inside"], np.nanmedian(found["width"], 0)
        error = inside.mean(1).std() / np.sqrt(replicates)
        each = " ".join(f"{100 * share:3.0f}" for share in inside.mean(0))
        ratio = "" if own is None else f"{np.max(width / own):5.2f} x own"
        yield (
            f"{case.name:28} {way[0]:10} {100 * inside.mean():5.1f} % +- {100 * error:3.1f}  "
            f"[{each}]  width {np.median(width):5.2f} {ratio}  score "
            f"{np.nanmean(found['score']):6.2f}  {found['seconds']:.2f} s  (asked {case.asked})"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--interval", choices=("bootstrap", "posterior"), action="append")
    args = parser.parse_args()
    usual = {"bootstrap": "tied", "posterior": "chinchilla"}
    ways = [(name, usual[name]) for name in args.interval or usual]
    for case in CASES:
        if args.case in case.name:
            for line in lines(case, ways, args.replicates, args.draws):
                print(line, flush=True)


if __name__ == "__main__":
    main()
