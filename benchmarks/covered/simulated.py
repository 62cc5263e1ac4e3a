"""Simulated tables: repeats, checkpoints, laws that are not the fitted one, data sets, outliers.

What is predicted is a new run, with its own deviation from the law.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.covered.measure import TIED, At, Part, Scores, Way, in_order, record_of

Theta = tuple[float, ...]
TIED_LAW: Theta = (1.84, 166.0, 287.0, 0.273, 0.273)
TRUTHS: dict[str, Theta] = {
    "tied": TIED_LAW,
    "chinchilla": (1.8172, 482.0, 2085.0, 0.3478, 0.3658),
    "hoffmann": (1.69, 406.4, 410.7, 0.34, 0.28),
    "steep": (1.8, 120.0, 5545.0, 0.25, 0.40),
}
# Larger than all runs of the small designs, and over-trained.
FAR = [(2e9, 4e10), (7e9, 1.4e11), (1.4e9, 640 * 1.4e9)]
SIXTEEN = (2e7, 8e7, 1.6e8, 4e8), (20.0, 40.0, 80.0, 160.0)
FORTY_EIGHT = tuple(np.geomspace(2e7, 4e8, 8).tolist()), (10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
ROBUST = Way("bootstrap", "tied", "huber_log")

Draw = np.random.Generator


@dataclass(frozen=True)
class Table:
    """One simulated table: its columns, what is asked, and what came out there."""

    columns: dict[str, list[Any]]
    targets: list[At]
    truth: list[float]


@dataclass(frozen=True)
class Case:
    """A kind of table, and what is asked of the coverage.

    Attributes
    ----------
    name : str
    make : callable
        A table of a random generator.
    asked : str
    yardstick : (str, callable, Way or None), optional
        What widths are held against: a name, a kind of table, and a way (None for the same way).
    ways : tuple of Way
        Beside the usual ones.
    """

    name: str
    make: Callable[[Draw], Table]
    asked: str
    yardstick: tuple[str, Callable[[Draw], Table], Way | None] | None = None
    ways: tuple[Way, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Scores with arrays (tables, targets), rows named as outlying, and CPU seconds of a table."""

    scores: Scores
    outlying: float
    seconds: float

    @property
    def width(self) -> Any:
        """Median by target."""
        return np.nanmedian(self.scores.width, axis=0)


def law(theta: Theta, params: Any, tokens: Any) -> Any:
    """E + A N^-alpha + B D^-beta."""
    floor, size, data, alpha, beta = theta
    return floor + size * params**-alpha + data * tokens**-beta


def new_runs(draw: Draw, theta: Theta, at: list[tuple[float, float]], sd: float) -> list[float]:
    """Losses of new runs."""
    params, tokens = np.array(at).T
    loss = law(theta, params, tokens) * (1 + sd * draw.standard_normal(params.size))
    return loss.tolist()


def table(columns: Mapping[str, Any], at: list[tuple[float, float]], truth: list[float]) -> Table:
    """Return a table of one data set."""
    plain = {name: np.asarray(values).tolist() for name, values in columns.items()}
    return Table(plain, [(None, *one) for one in at], truth)


def repeats(draw: Draw, seeds: int, many: bool = False) -> Table:
    """Five designs or sixteen, each with some seeds: they share what the design is off the law."""
    if many:
        sizes, ratios = (axis.ravel() for axis in np.meshgrid(*SIXTEEN, indexing="ij"))
    else:
        sizes = np.array([2e7, 8e7, 1.6e8, 4e8, 2e7])
        ratios = np.array([20, 20, 20, 20, 320])
    design = np.repeat(np.arange(sizes.size), seeds)
    params, tokens = sizes[design], (sizes * ratios)[design]
    off = (0.008 * draw.standard_normal(sizes.size))[design]
    loss = law(TIED_LAW, params, tokens)
    loss = loss * (1 + off + 0.003 * draw.standard_normal(design.size))
    seed = np.tile(np.arange(seeds), sizes.size)
    columns = {"params": params, "tokens": tokens, "loss": loss, "seed": seed}
    return table(columns, FAR, new_runs(draw, TIED_LAW, FAR, float(np.hypot(0.008, 0.003))))


def checkpoints(draw: Draw, count: int, runs: int = 6) -> Table:
    """Measure some runs at several checkpoints each."""
    run = np.repeat(np.arange(runs), count)
    params = np.geomspace(2e7, 4e8, runs)[run]
    tokens = params * np.tile(np.geomspace(4, 40, count), runs)
    off = (0.01 * draw.standard_normal(runs))[run]
    loss = law(TIED_LAW, params, tokens) * (1 + off + 0.002 * draw.standard_normal(run.size))
    names = [f"run {i}" for i in run.tolist()]
    columns = {"run": names, "params": params, "tokens": tokens, "loss": loss}
    return table(columns, FAR, new_runs(draw, TIED_LAW, FAR, float(np.hypot(0.01, 0.002))))


def grid(
    draw: Draw,
    theta: Theta,
    design: tuple[Sequence[float], Sequence[float]] = SIXTEEN,
    shared: float = 0.0,
    outliers: float = 0.0,
) -> Table:
    """Cross sizes with token multipliers; predicted at 10, 30 and 100 times the largest run.

    A share of the rows lies 12 % above or below; without it all else is the same.
    """
    sizes, ratios = design
    params = np.repeat(sizes, len(ratios))
    tokens = params * np.tile(ratios, len(sizes))
    off = np.repeat(shared * draw.standard_normal(len(sizes)), len(ratios))
    off = off + 0.003 * draw.standard_normal(params.size)
    most = float(np.max(6 * params * tokens))
    at = [
        (float(np.sqrt(times * most / 6 / ratio)), float(np.sqrt(times * most / 6 * ratio)))
        for times in (10, 30, 100)
        for ratio in (20, 200)
    ]
    truth = new_runs(draw, theta, at, float(np.hypot(shared, 0.003)))
    loss = law(theta, params, tokens) * (1 + off)
    rows = draw.permutation(params.size)[: round(outliers * params.size)]
    loss[rows] *= 1 + 0.12 * draw.choice([-1.0, 1.0], rows.size)
    return table({"params": params, "tokens": tokens, "loss": loss}, at, truth)


def ladder(draw: Draw, design: str) -> Table:
    """Eight runs that differ in one way, so that they tell a sum of the law's parts and not these.

    Each table has one of four laws. Predicted are two runs that differ from them in the same way,
    and one in another.
    """
    steps = np.geomspace(1, 20, 8)
    params, tokens, at = {
        "M": (2e7 * steps, 4e8 * steps, [(1.2e9, 2.4e10), (4e9, 8e10), (4e8, 8e10)]),
        "D": (2e7 * steps, np.full(8, 8e9), [(1.2e9, 8e9), (4e9, 8e9), (4e8, 8e10)]),
        "N": (np.full(8, 1e8), 5e8 * steps, [(1e8, 3e10), (1e8, 1e11), (4e8, 1e10)]),
        "C": (2e7 * steps, 4e9 / steps, [(2e8, 4e9), (6e8, 1.2e10), (1e8, 8e9)]),
    }[design]
    theta = list(TRUTHS.values())[draw.integers(len(TRUTHS))]
    loss = law(theta, params, tokens) * (1 + 0.005 * draw.standard_normal(8))
    truth = new_runs(draw, theta, at, 0.005)
    return table({"params": params, "tokens": tokens, "loss": loss}, at, truth)


def two_sets(draw: Draw, first: float, second: float) -> Table:
    """Eight runs of one data set beside five of another, with scatters of their own."""
    result = Table({"dataset": [], "params": [], "tokens": [], "loss": []}, [], [])
    eight = [2e7, 4e7, 8e7, 1.6e8, 4e8, 2e7, 8e7, 4e7], [20, 20, 20, 20, 20, 320, 80, 160]
    five = [2e7, 8e7, 1.6e8, 4e8, 2e7], [20, 20, 20, 20, 320]
    for name, (sizes, ratios), sd in (("first", eight, first), ("second", five, second)):
        params = np.array(sizes)
        tokens = params * np.array(ratios, float)
        loss = law(TIED_LAW, params, tokens) * (1 + sd * draw.standard_normal(params.size))
        result.columns["dataset"] += [name] * params.size
        for key, values in (("params", params), ("tokens", tokens), ("loss", loss)):
            result.columns[key] += values.tolist()
        result.targets.extend((name, *at) for at in FAR)
        result.truth.extend(new_runs(draw, TIED_LAW, FAR, sd))
    return result


def sixteen(name: str, theta: Theta, shared: float = 0.0) -> Case:
    """Sixteen runs, held against the fit of the law that is true."""
    make = partial(grid, theta=theta, shared=shared)
    own = TIED if theta is TIED_LAW else Way("bootstrap", "chinchilla")
    return Case(f"16 runs, {name}", make, ">= 85 % each, width <= 2.5", ("own law", make, own))


def outlying(design: tuple[Sequence[float], Sequence[float]]) -> Case:
    """Put a tenth of the rows at +-12 %, held against the same table without."""
    clean = partial(grid, theta=TIED_LAW, design=design)
    count = len(design[0]) * len(design[1])
    name = f"{count} runs, {round(0.1 * count)} outliers"
    asked = ">= 85 %, width <= 1.3, the rows named"
    make = partial(clean, outliers=0.1)
    return Case(name, make, asked, ("without", clean, None), (ROBUST,))


CASES = [
    *(Case(f"repeats, {k} seeds", partial(repeats, seeds=k), "85-95 %") for k in (1, 2, 3, 5)),
    *(
        Case(f"checkpoints, {k} of 6 runs", partial(checkpoints, count=k), "85-95 %")
        for k in (3, 10, 40, 100)
    ),
    Case("checkpoints, 10 of 12 runs", partial(checkpoints, count=10, runs=12), "85-95 %"),
    Case("repeats, 4 seeds of 16 designs", partial(repeats, seeds=4, many=True), "85-95 %"),
    *(sixteen(name, theta) for name, theta in TRUTHS.items()),
    sixteen("shared by size", TIED_LAW, 0.01),
    *(
        Case(
            f"two data sets, 1 % and {percent:g} %",
            partial(two_sets, first=0.01, second=percent / 100),
            "86-94 % each",
        )
        for percent in (1.0, 0.3, 0.1)
    ),
    outlying(SIXTEEN),
    outlying(FORTY_EIGHT),
    *(
        Case(f"ladder at one {name}", partial(ladder, design=name), ">= 85 % each")
        for name in "MDNC"
    ),
]


def measure(make: Callable[[Draw], Table], way: Way, replicates: int, draws: int) -> Measured:
    """Fit some tables of one kind and score what is predicted of them."""
    settings, outlying, found = way.settings(draws), 0, []
    start = time.process_time()
    for replicate in range(replicates):
        one = make(np.random.default_rng([20261127, replicate]))
        record = record_of(one.columns, one.targets, settings)
        found.append(Scores.of(in_order(record, one.targets), one.truth))
        outlying += sum(len(fit.get("outlying") or ()) for fit in record["fits"])
    seconds = (time.process_time() - start) / replicates
    names = ("inside", "width", "score", "error")
    stacked = Scores(*(np.stack([getattr(one, name) for one in found]) for name in names))
    return Measured(stacked, outlying / replicates, seconds)


def _held_against(case: Case, way: Way) -> Way:
    """Return the way of the yardstick."""
    return (case.yardstick and case.yardstick[2]) or way


def lines(case: Case, ways: list[Way], found: Mapping[Any, Measured]) -> Iterator[str]:
    """Say what was measured of one case, a line a way."""
    for way in ways:
        one = found["case", way]
        yardstick = found.get(("yardstick", _held_against(case, way)))
        inside = one.scores.inside
        error = inside.mean(1).std() / np.sqrt(len(inside))
        each = " ".join(f"{100 * share:3.0f}" for share in inside.mean(0))
        against = named = ""
        if case.yardstick and yardstick:
            against = f"{np.max(one.width / yardstick.width):5.2f} x {case.yardstick[0]}"
            if case.ways:
                named = f"  {one.outlying:.1f} rows named, {yardstick.outlying:.1f} without"
        yield (
            f"{case.name:28} {way!s:22} {100 * inside.mean():5.1f} % +- {100 * error:3.1f}  "
            f"[{each}]  width {np.median(one.width):5.2f} {against}  score "
            f"{np.nanmean(one.scores.score):6.2f}  {one.seconds:.2f} s{named}  (asked {case.asked})"
        )


def parts(ways: list[Way], replicates: int, draws: int) -> Iterator[Part]:
    """All cases."""
    for case in CASES:
        asked = [*ways, *(case.ways if TIED in ways else ())]
        jobs: dict[Any, Callable[[], Measured]] = {}
        for way in asked:
            jobs["case", way] = partial(measure, case.make, way, replicates, draws)
            if case.yardstick:
                against = _held_against(case, way)
                jobs["yardstick", against] = partial(
                    measure, case.yardstick[1], against, replicates, draws
                )
        yield Part(case.name, jobs, partial(lines, case, asked))
