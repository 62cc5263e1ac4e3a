"""The published testbed: where suggested designs rank among random ones of the same compute.

Rules: the pool of a training set are its cells with N <= 411M and M >= 20, the budget what the five
of them cost that the paper fits its loss law to, the loss that on C4 eval, and then each of all
eight. The four cheapest cells are there. One after the other cells are suggested, to narrow the law
at both targets (6.9B at M = 20, 1.4B at its largest M), until none is affordable; after each the
law is drawn again. Random designs are cells of the pool in random order, made as far as affordable,
five at least. No target is looked at before a design is complete. All designs have the softly tied
law, whose median predicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.covered.testbed import LOSSES, runs_of
from benchmarks.suggested.repeated import once
from scalebed.decide.suggest.designs import Run, inputs_of_runs
from scalebed.decide.suggest.greedy import POWER, SHARED, Goal, known_of, suggest, tamed
from scalebed.fit.posterior import Draws, Points, fit_posterior
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array

PAPER = ((1.06e7, 20), (7.9e7, 20), (1.54e8, 20), (4.1e8, 20), (1.06e7, 320))
LAW = get_law("chinchilla", "loss")
START, DRAWS = 4, 1000
POWERS = (POWER, 0.0)


class Pool:
    """Cells of one training set, cheapest first, and the targets."""

    def __init__(self, runs: pd.DataFrame) -> None:
        runs = runs.assign(flops=runs["params"] * runs["tokens"]).sort_values("flops")
        params, multiplier = runs["params"], runs["token_multiplier"]
        middle = (params > 1e9) & (params < 2e9)
        far = (params > 2e9) | (middle & (multiplier == multiplier[middle].max()))
        self.runs, self.loss = _cells(runs[(params < 1e9) & (multiplier > 19)])
        self.targets, self.truth = _cells(runs[far])
        self.costs = np.array([run.flops for run in self.runs])
        self.paper = [self._nearest(*cell) for cell in PAPER]
        self.budget = float(self.costs[self.paper].sum())

    def _nearest(self, params: float, ratio: float) -> int:
        columns = np.array([(run.params, run.multiplier) for run in self.runs])
        return int(np.abs(np.log(columns / (params, ratio))).sum(1).argmin())

    def draws(self, used: Sequence[int]) -> Draws:
        """Draws of the law of some cells."""
        params, tokens, _ = np.array([self.runs[i] for i in used]).T
        posterior = fit_posterior(Points(params, tokens, self.loss[list(used)]))
        return Draws.of(posterior, DRAWS, np.random.default_rng(0))

    def errors(self, used: Sequence[int]) -> Array:
        """Relative error at every target."""
        value = LAW.value(self.draws(used).theta, inputs_of_runs(LAW, self.targets))
        error: Array = np.abs(np.median(value, axis=0) / self.truth - 1)
        return error


def _cells(rows: pd.DataFrame) -> tuple[list[Run], Array]:
    runs = [Run(float(r.params), float(r.tokens), float(r.tokens)) for r in rows.itertuples()]
    return runs, rows["loss"].to_numpy(float)


def suggested(pool: Pool, power: float) -> list[int]:
    """Return a design, cell after cell."""
    used = list(range(START))
    while True:
        draws = pool.draws(used)
        values = LAW.value(draws.theta, inputs_of_runs(LAW, [*pool.runs, *pool.targets]))
        scatter = float(np.median(draws.scatter))
        known = known_of(tamed(np.log(values)), scatter, pool.runs, [], SHARED)
        left = pool.budget - float(pool.costs[used].sum())
        made = [pool.runs[i] for i in used]
        row = suggest(known, pool.runs, Goal(budget=left, count=1), made, once, power)
        if not row.steps:
            return used
        used.append(row.steps[0].chosen)


def by_chance(pool: Pool, rng: np.random.Generator) -> list[int]:
    """Return a random design."""
    while True:
        used: list[int] = []
        left = pool.budget
        for i in rng.permutation(len(pool.runs)).tolist():
            if pool.costs[i] <= left:
                used.append(i)
                left -= pool.costs[i]
        if len(used) >= len(PAPER):
            return used


class Ranked(NamedTuple):
    """Designs of one training set and loss: errors at the targets and shares that are better."""

    pool: Pool
    found: dict[str, list[int]]
    errors: dict[str, Array]
    ranks: dict[str, Array]
    middle: Array


def ranked(own: pd.DataFrame, designs: int) -> Ranked:
    """Rank designs among random ones."""
    pool, rng = Pool(own), np.random.default_rng(0)
    chance = np.array([pool.errors(by_chance(pool, rng)) for _ in range(designs)])
    found = {"paper's five cells": pool.paper}
    found |= {f"suggested, kappa {power:g}": suggested(pool, power) for power in POWERS}
    errors = {what: pool.errors(used) for what, used in found.items()}
    ranks = {what: (chance < error).mean(0) for what, error in errors.items()}
    return Ranked(pool, found, errors, ranks, np.median(chance, axis=0))


def details(name: str, one: Ranked) -> Iterator[str]:
    """Say what came out of one training set."""
    for what, used in one.found.items():
        said = (
            f"{run.params / 1e9:.2g}B M {run.multiplier:.0f}: {100 * off:5.2f} % ({place:.1%})"
            for run, off, place in zip(
                one.pool.targets, one.errors[what], one.ranks[what], strict=True
            )
        )
        spent = one.pool.costs[used].sum() / one.pool.budget
        yield (
            f"  {name:10} {what:22} {len(used):2} cells, {spent:.0%} of the budget  "
            + "  ".join(said)
        )
    middle = "  ".join(f"{100 * off:.2f} %" for off in one.middle)
    yield f"  {name:10} median of random designs: {middle}"


def lines(folder: Path, designs: int) -> Iterator[str]:
    """Measure, and say what came out."""
    yield f"testbed: error at the targets, and share of {designs} random designs that are better"
    ranks: dict[str, list[float]] = {}
    for loss in LOSSES:
        for name, own in runs_of(folder, loss).groupby("dataset"):
            one = ranked(own, designs)
            if loss == LOSSES[0]:
                yield from details(str(name), one)
            for what, places in one.ranks.items():
                ranks.setdefault(what, []).extend(places.tolist())
        for what, places in ranks.items():
            ways = f"mean rank {np.mean(places):.1%}, median {np.median(places):.1%}"
            yield (
                f"  up to {loss:28} {what:22} {ways}, worst {np.max(places):.1%} of {len(places)}"
            )
