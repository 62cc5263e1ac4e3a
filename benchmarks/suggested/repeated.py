"""Repeated data: which of 161 runs to make, to predict 21 that are larger or longer.

Rules: the twelve cheapest runs are there (twice the parameters of law `constrained`). Until 1, 5
and 10 % of the cost 6 N D of all 161 are spent, runs are chosen that narrow the law at the 21
targets, whose losses are not looked at; after every three of them the law is fitted and drawn
again, by least squares and refits about the fit with its lack of fit as scatter. A repeat has
another seed of these draws; random designs have another order of the pool, runs made as far as they
are affordable. What is scored is R2 of the fitted law at the targets, not below -1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from scalebed.decide.suggest.designs import Run, inputs_of_runs
from scalebed.decide.suggest.greedy import POWER, Goal, known_of, suggest, tamed
from scalebed.fit.refit import refit
from scalebed.fit.result import FitRefusedError, FitResult, fit_law
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array

SHARES = (0.01, 0.05, 0.1)
PUBLISHED = {
    "published, random": (-0.74, -0.36, 0.12),
    "published, V-optimal": (0.58, 0.83, 0.85),
    "published, theirs": (0.73, 0.85, 0.86),
}
LAW = get_law("constrained", "loss")
START, EACH, DRAWS = 12, 3, 200


class Pool:
    """The runs to choose from, cheapest first, and the targets."""

    def __init__(self, folder: Path) -> None:
        train, test = (
            pd.read_csv(folder / f"data_constrained_{name}.csv") for name in ("train", "test")
        )
        train = train.iloc[np.argsort(train["params"] * train["tokens"], kind="stable")]
        self.runs, self.loss = _runs(train)
        self.targets, self.truth = _runs(test)
        self.costs = np.array([run.flops for run in self.runs])

    @cached_property
    def everything(self) -> float:
        """R2 of the law fitted to all runs."""
        return self.score(self.fit(range(len(self.runs))))

    def fit(self, used: Sequence[int]) -> FitResult | None:
        """Fit the law to some runs; None where it is refused."""
        try:
            return fit_law(LAW, self.inputs(used), self.loss[list(used)])
        except FitRefusedError:
            return None

    def inputs(self, used: Sequence[int]) -> tuple[Array, ...]:
        """Return the inputs of the law for some runs."""
        return inputs_of_runs(LAW, [self.runs[i] for i in used])

    def score(self, fit: FitResult | None) -> float:
        """R2 at the targets."""
        if fit is None:
            return -1.0
        rest = self.truth - LAW.predict(fit.theta, inputs_of_runs(LAW, self.targets))
        spread = self.truth - self.truth.mean()
        return float(max(1 - rest @ rest / (spread @ spread), -1.0))

    def left(self, used: Sequence[int], share: float) -> float:
        """Cost that may still be spent of a share of that of all runs."""
        return float(share * self.costs.sum() - self.costs[list(used)].sum())


def _runs(rows: pd.DataFrame) -> tuple[list[Run], Array]:
    columns = rows[["params", "tokens", "unique_tokens"]].to_numpy(float)
    return [Run(*map(float, row)) for row in columns], rows["loss"].to_numpy(float)


def by_chance(pool: Pool, seed: int) -> list[float]:
    """R2 of a random design at every share."""
    order = np.random.default_rng(seed).permutation(len(pool.runs)).tolist()
    used: list[int] = []
    found = []
    for share in SHARES:
        for i in order:
            if i not in used and pool.costs[i] <= pool.left(used, share):
                used.append(i)
        found.append(pool.score(pool.fit(used)))
    return found


def by_suggestion(
    pool: Pool, seed: int, shares: Sequence[float] = SHARES, power: float = POWER
) -> list[float]:
    """R2 of a suggested design at every share."""
    used, found = list(range(START)), []
    for share in shares:
        while more := _more(pool, used, pool.left(used, share), seed, power):
            used += more
        found.append(pool.score(pool.fit(used)))
    return found


def _more(pool: Pool, used: list[int], budget: float, seed: int, power: float) -> list[int]:
    """Next few runs."""
    fit = pool.fit(used)
    if fit is None:
        # The cheapest that is left: the law cannot be fitted yet.
        return [i for i in range(len(pool.runs)) if i not in used and pool.costs[i] <= budget][:1]
    rest = np.log(fit.fitted + fit.residuals) - np.log(fit.fitted)
    scatter = float(np.sqrt(rest @ rest / (len(used) - len(LAW.parameters))))
    normal = np.random.default_rng([seed, len(used)]).standard_normal((DRAWS, len(used)))
    drawn = fit.fitted * np.exp(scatter * normal)
    theta = refit(LAW, pool.inputs(used), drawn, start=fit.theta, domain=fit.domain).theta
    with np.errstate(all="ignore"):
        samples = np.log(LAW.value(theta, inputs_of_runs(LAW, [*pool.runs, *pool.targets])))
    samples = tamed(samples[np.isfinite(samples).all(axis=1)])
    known = known_of(samples, scatter, pool.runs, [], shared=0.0)
    made = [pool.runs[i] for i in used]
    row = suggest(known, pool.runs, Goal(budget=budget, count=EACH), made, once, power)
    return [step.chosen for step in row.steps]


def once(run: Run, made: Sequence[Run]) -> float:
    """Cost of a run of a pool, which can be made once."""
    return np.inf if run in made else run.flops


def lines(folder: Path, repeats: int) -> Iterator[str]:
    """Measure, and say what came out."""
    pool = Pool(folder)
    yield f"repeated data: R2 at 21 targets at 1, 5 and 10 % of the cost, mean of {repeats} repeats"
    found = {
        "random, law constrained": [by_chance(pool, seed) for seed in range(repeats)],
        "suggested": [by_suggestion(pool, seed) for seed in range(repeats)],
    }
    for name, values in found.items():
        yield f"  {name:24} {_row(np.mean(values, 0))}   worst {_row(np.min(values, 0))}"
    for name, printed in PUBLISHED.items():
        yield f"  {name:24} {_row(printed)}"
    yield f"  all data: {pool.everything:.2f}, published .79 (mean over their laws)"


def _row(values: Sequence[float] | Array) -> str:
    return " ".join(f"{value:5.2f}" for value in values)
