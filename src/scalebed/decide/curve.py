"""The loss law of one data set as decisions take it: its joint draws, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scalebed.laws.forms.base import Array, Index, Law
from scalebed.predict.draws import interval_of
from scalebed.predict.evidence import Evidence
from scalebed.predict.table_runs import Target


class Outcome(NamedTuple):
    """What one response of one run would be.

    Attributes
    ----------
    response, kind : str
        Column, validation set or task; ``loss`` or ``error``.
    target : Target
    predicted, lower, upper : float or None
        Interval of the run to be made; None where there is none.
    numbers, evidence : str or None
        The two verdicts, see docs/uncertainty.md.
    reason : str or None
        Why there is no prediction.
    contains : str
        What the interval contains.
    quantiles : tuple of float, optional
        0, 1, ..., 100 % of the draws of the run to be made.
    """

    response: str
    kind: str
    target: Target
    predicted: float | None
    lower: float | None
    upper: float | None
    numbers: str
    evidence: str | None
    reason: str | None
    contains: str
    quantiles: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Curve:
    """The loss law of one data set.

    Attributes
    ----------
    source : str
        Where it comes from, in words.
    dataset, response : str
    law : Law
    theta : array (draws, p)
        Joint draws; one row for constants and for fits that have no draws.
    middle : array (p,)
        The law that is shown.
    params, tokens : array (n,)
        Runs it was fitted to; none for constants.
    loss : array (n,)
    unique_tokens : array (n,)
    sigma : float or None
        Scatter of runs about the law, relative to the loss.
    level : float
        Of every interval.
    numbers : str
    evidence : Evidence or None
    ask : callable
        From targets to the outcomes of each.
    groups : int array (n,), optional
        Codes that are equal for rows of one run, design or trunk; without, each is on its own.
    """

    source: str
    dataset: str
    response: str
    law: Law
    theta: Array
    middle: Array
    params: Array
    tokens: Array
    loss: Array
    unique_tokens: Array
    sigma: float | None
    level: float
    numbers: str
    evidence: Evidence | None
    ask: Callable[[tuple[Target, ...]], list[list[Outcome]]]
    groups: Index | None = None

    def grouped(self, rows: Index) -> Index:
        """Codes of some rows, equal for those that go together."""
        return rows if self.groups is None else self.groups[rows]

    @property
    def drawn(self) -> bool:
        """Whether there are draws, and with them intervals."""
        return len(self.theta) > 1

    @property
    def largest(self) -> float:
        """Largest 6 N D among the runs; NaN for constants."""
        return float(np.max(6 * self.params * self.tokens)) if self.params.size else np.nan

    def times_largest(self, flops: float) -> float | None:
        """How many times the largest compute of the data; None for constants."""
        return flops / self.largest if self.params.size else None

    def outcomes(self, targets: Sequence[Target]) -> list[list[Outcome]]:
        """Predict runs: loss first, then errors, of every target."""
        return self.ask(tuple(targets))

    def interval(self, samples: Array) -> tuple[float, float] | None:
        """Limits of what one number is in the draws, (draws,); None without draws."""
        if not self.drawn:
            return None
        low, high = interval_of(samples, self.level)
        return float(low), float(high)
