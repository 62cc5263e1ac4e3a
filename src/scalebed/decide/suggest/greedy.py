"""Which runs narrow the law at some targets most, from its draws, whatever law they are of.

The logarithms of the loss at candidates x and targets t have a covariance S in the draws. A run at
x with scatter s takes off the variance of the targets

    sum_t S_tx^2 / (s_x^2 + S_xx),

and what is left is S - S_.x S_x. / (s_x^2 + S_xx). Runs are added one after the other by what they
take off over a power kappa of their cost (greedy V-optimal design, arXiv 2604.22753).

Runs of equal N and D share a part rho of the variance of their scatter: what the cell is off the
law. So r of them know the law there to v_r = s^2 (rho + (1 - rho) / r), and one more is worth a
measurement with the variance 1 / (1 / v_(r+1) - 1 / v_r).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from scalebed.decide.suggest.designs import Cost, Run, same, whole
from scalebed.laws.forms.base import Array

POWER: Final = 0.35
"""Power kappa of the cost; arXiv 2604.22753 has .3 to .4. With 0 only the budget counts cost."""
SHARED: Final = 0.85
"""Part of the scatter's variance that a cell has in common, where no cell was repeated: the middle
of what `scalebed.fit.posterior.Beliefs.repeats` holds possible."""
_CLIP: Final = 4.0
_MAD: Final = 1.4826
_ROUNDS: Final = 200


@dataclass(frozen=True)
class Known:
    """What is known of the law at candidates and targets.

    Attributes
    ----------
    covariance : array (n + m, n + m)
        Of the logarithm of the loss, candidates first.
    scatter : float
        Of a run about the law, relative to its loss.
    shared : float
        Part of its variance that runs of one cell have in common.
    counts : array (n,)
        Runs there are already of each candidate.
    """

    covariance: Array
    scatter: float
    shared: float
    counts: Array

    @property
    def targets(self) -> Array:
        """Variance of the law at the targets, (m,)."""
        return np.diag(self.covariance)[self.counts.size :]

    @property
    def noise(self) -> Array:
        """Variance with which one more run of each candidate tells the law there, (n,)."""
        own = (1 - self.shared) * self.scatter**2
        common = self.shared * self.scatter**2
        with np.errstate(divide="ignore"):
            # Without a run own / 0 is infinite, so nothing is known yet.
            before = 1 / (common + own / self.counts) if own > 0 else (self.counts > 0) / common
            gain = 1 / (common + own / (self.counts + 1)) - before
            found: Array = np.where(gain > 0, 1 / gain, np.inf)
        return found

    def gains(self) -> Array:
        """Variance that one run takes off all targets together, (n,)."""
        count = self.counts.size
        cross = self.covariance[count:, :count]
        total = self.noise + np.diag(self.covariance)[:count]
        result: Array = np.sum(cross**2, axis=0) / total
        return result

    def after(self, chosen: int) -> Known:
        """Return what is known when one candidate was run."""
        row = self.covariance[chosen]
        left = self.covariance - np.outer(row, row) / (self.noise[chosen] + row[chosen])
        counts = self.counts.copy()
        counts[chosen] += 1
        return replace(self, covariance=left, counts=counts)


def tamed(samples: Array) -> Array:
    """Draw far values in to some robust standard deviations, column by column, (draws, n).

    A few draws with wild laws would decide a covariance alone.
    """
    middle = np.median(samples, axis=0)
    spread = _MAD * np.median(np.abs(samples - middle), axis=0)
    return np.clip(samples, middle - _CLIP * spread, middle + _CLIP * spread)


def known_of(
    samples: Array, scatter: float, candidates: Sequence[Run], made: Sequence[Run], shared: float
) -> Known:
    """Return what draws say of candidates and targets.

    Parameters
    ----------
    samples : array (draws, n + m)
        Logarithm of the loss, candidates first.
    scatter : float
    candidates : sequence of Run
    made : sequence of Run
        Runs there are.
    shared : float
        See `Known`.
    """
    covariance = np.atleast_2d(np.cov(samples, rowvar=False))
    counts = np.array([same(run, made).sum() for run in candidates], dtype=float)
    return Known(covariance, scatter, shared, counts)


@dataclass(frozen=True)
class Goal:
    """When to stop.

    Attributes
    ----------
    variance : float or array (m,)
        Of the law at the targets, that is wanted.
    budget : float
        Cost of all runs.
    count : int
        Most runs.
    least : float
        Part of the variance of all targets together that a run has to take off.
    """

    variance: float | Array = 0.0
    budget: float = np.inf
    count: int = _ROUNDS
    least: float = 0.0


class Step(NamedTuple):
    """One run to make: which candidate, its cost, and the variance of the targets after it."""

    chosen: int
    cost: float
    targets: Array


class Row(NamedTuple):
    """Runs to make, in order, and whether they reach the variance that is wanted."""

    steps: tuple[Step, ...]
    reached: bool

    @property
    def cost(self) -> float:
        """Cost of all."""
        return sum(step.cost for step in self.steps)


def suggest(
    known: Known,
    candidates: Sequence[Run],
    goal: Goal,
    made: Sequence[Run] = (),
    cost: Cost = whole,
    power: float = POWER,
) -> Row:
    """Return the runs to make, in order.

    Parameters
    ----------
    known : Known
    candidates : sequence of Run
    goal : Goal
    made : sequence of Run
        Runs there are, which `cost` may look at.
    cost : callable
        What a candidate costs beside the runs that there are by then.
    power : float
        kappa.
    """
    steps = tuple(_steps(known, candidates, goal, list(made), cost, power))
    left = steps[-1].targets if steps else known.targets
    return Row(steps, bool(np.all(left <= goal.variance)))


def _steps(
    known: Known, candidates: Sequence[Run], goal: Goal, made: list[Run], cost: Cost, power: float
) -> Iterator[Step]:
    spent = 0.0
    for _ in range(goal.count):
        if bool(np.all(known.targets <= goal.variance)):
            return
        costs = np.array([cost(run, made) for run in candidates])
        gains = known.gains()
        worth = (costs <= goal.budget - spent) & (gains >= goal.least * known.targets.sum())
        score = np.where(worth, gains / costs**power, 0.0)
        best = int(np.argmax(score))
        if not score[best] > 0:
            return
        known = known.after(best)
        spent += float(costs[best])
        made.append(candidates[best])
        yield Step(best, float(costs[best]), known.targets)
