"""The Multi-Power Law: the loss of one model along any learning-rate schedule.

L(t) = L0 + A S1(t)^-alpha - B sum_k (eta_{k-1} - eta_k) (1 - (C eta_k^-gamma S_k(t) + 1)^-beta)

with k from 1 to t (Luo et al., arXiv 2503.12811), eta_k the learning rate of step k, S1(t) the sum
of learning rates to t, that of the warm-up included, and S_k(t) the sum from k to t. Losses are in
nats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from scipy.optimize import least_squares

from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array, Index

HUBER: Final = 1e-3
"""Where Huber's loss of logarithms turns straight, as in the paper."""
BLOCK: Final = 128
"""Steps that a fit takes together."""
_STARTS: Final = ((1.0, 0.5, 0.5), (2.0, 0.6, 0.65), (0.3, 0.4, 0.4))
_JUMP: Final = 1.2


class Constants(NamedTuple):
    """Constants of the law, in the paper's names; L0 and A in nats."""

    L0: float
    A: float
    alpha: float
    B: float
    C: float
    beta: float
    gamma: float


@dataclass(frozen=True)
class Schedule:
    """Learning rate of every step of a run, (steps,), from step 0."""

    rates: Array

    @cached_property
    def sums(self) -> Array:
        """Sum of the rates up to and with each step, (steps,)."""
        return np.cumsum(self.rates)

    def changes(self, block: int) -> tuple[Array, Array, Array, Index]:
        """Return rate, fall, sum before it and step of every change, blocks of steps together."""
        falls = self.rates[:-1] - self.rates[1:]
        at = np.flatnonzero(falls)
        if not at.size:
            return np.zeros(0), np.zeros(0), np.zeros(0), at
        # A jump keeps its place; what falls smoothly may be taken together.
        small = np.abs(falls[at]) * 2 * block < self.rates.max()
        parts = np.where(small, at // block, at + self.rates.size)
        starts = np.flatnonzero(np.r_[True, parts[1:] != parts[:-1]])
        ends = np.r_[starts[1:], at.size] - 1
        middle = (at[starts] + at[ends]) // 2
        fallen = np.add.reduceat(falls[at], starts)
        return self.rates[middle + 1], fallen, self.sums[middle], middle + 1


class Reference(NamedTuple):
    """A curve with its schedule: steps and losses, (n,) each."""

    name: str
    schedule: Schedule
    steps: Index
    loss: Array


def schedule_of(steps: Array, rates: Array, last: int, warmup: int | None = None) -> Schedule:
    """Return the rate of every step from some of them.

    Between two rows the rate is on their straight line, or keeps until the second one where that
    is a fall by a sixth. Before the first row it rises from 0 in a straight line; after the last
    it stays.

    Parameters
    ----------
    steps, rates : array (n,)
    last : int
        Last step.
    warmup : int, optional
        Steps of the rise; up to the first row if None.
    """
    every = np.arange(last + 1, dtype=float)
    found = np.interp(every, steps, rates)
    for i in np.flatnonzero(rates[:-1] > _JUMP * rates[1:]):
        found[(every > steps[i]) & (every < steps[i + 1])] = rates[i]
    rise = int(steps[0]) if warmup is None else warmup
    early = every < min(rise, steps[0])
    found[early] = rates[0] * every[early] / max(rise - 1, 1)
    return Schedule(found)


def loss_at(constants: Constants, schedule: Schedule, steps: Index, block: int = 1) -> Array:
    """Loss after some steps, (n,) in nats; steps that fall in a block are taken together."""
    law = constants
    sums = schedule.sums[steps]
    value = law.L0 + law.A * sums**-law.alpha
    rates, falls, before, when = schedule.changes(block)
    if not falls.size:
        return np.asarray(value, float)
    with np.errstate(over="ignore"):
        weight, scale = law.B * falls, law.C * np.maximum(rates, 1e-300) ** -law.gamma
    for i, (step, total) in enumerate(zip(steps, sums, strict=True)):
        # Steps of a schedule are in order, so what came before is a slice.
        n = int(np.searchsorted(when, step, side="right"))
        shape = 1 - (1 + scale[:n] * (total - before[:n])) ** -law.beta
        value[i] -= float(weight[:n] @ shape)
    return np.asarray(value, float)


def fit(references: Sequence[Reference]) -> Constants:
    """Fit the law to curves: least Huber loss of log loss, the best of a few starts.

    Parameters
    ----------
    references : sequence of Reference

    Raises
    ------
    ScalebedError
        If no curve has a falling learning rate, which B, C, beta and gamma are about.
    """
    if not any(np.any(np.diff(one.schedule.rates[one.steps[0] :])) for one in references):
        names = ", ".join(one.name for one in references)
        raise ScalebedError(f"the learning rate of {names} never changes, expected one that falls")
    least = min(float(one.loss.min()) for one in references)
    peak = max(float(one.schedule.rates.max()) for one in references)
    measured = [np.log(one.loss) for one in references]

    def off(theta: Array) -> Array:
        law = Constants(*np.exp(np.clip(theta, -40, 40)))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            parts = [
                np.log(loss_at(law, one.schedule, one.steps, BLOCK)) - log
                for one, log in zip(references, measured, strict=True)
            ]
        return np.nan_to_num(np.concatenate(parts), nan=10.0, posinf=10.0, neginf=-10.0)

    best, found = np.inf, None
    for C, beta, gamma in _STARTS:
        start = Constants(0.9 * least, 0.2 * least, 0.5, 0.1 * least / peak / 3, C, beta, gamma)
        # Huber's loss is flat far away, so squares lead near.
        near = least_squares(off, np.log(start), x_scale="jac", xtol=1e-4, ftol=1e-6).x
        result = least_squares(off, near, loss="huber", f_scale=HUBER, x_scale="jac")
        if result.cost < best:
            best, found = float(result.cost), result.x
    if found is None:
        raise ScalebedError("the Multi-Power Law could not be fitted: no start has a finite loss")
    return Constants(*(float(value) for value in np.exp(found)))


def scores(measured: Array, predicted: Array) -> Mapping[str, float]:
    """Return the paper's five: R2, MAE and RMSE in nats, mean and worst relative error."""
    off = np.abs(measured - predicted)
    spread = float(np.sum((measured - measured.mean()) ** 2))
    return {
        "R2": 1 - float(np.sum(off**2)) / spread,
        "MAE": float(off.mean()),
        "RMSE": float(np.sqrt(np.mean(off**2))),
        "PredE": float(np.mean(off / measured)),
        "WorstE": float(np.max(off / measured)),
    }
