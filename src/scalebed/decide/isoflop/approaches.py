"""What approach 2 and approach 3 of Hoffmann et al. say of the same runs."""

from __future__ import annotations

from typing import NamedTuple


class Range(NamedTuple):
    """A number with its interval, where there is one."""

    value: float
    lower: float | None
    upper: float | None


class Best(NamedTuple):
    """N* and D* = C / (6 N*) at a compute."""

    params: Range
    tokens: Range


class Bias(NamedTuple):
    """What approach 2 is off on noise-free losses, relative to N* and D* of the law."""

    params: float
    tokens: float


class AtBudget(NamedTuple):
    """One budget that has a minimum.

    Attributes
    ----------
    flops : float
    runs : int
    least, most : float
        Smallest and largest N.
    parabola, law : Best
        Approach 2 and 3.
    bias : Bias or None
        None where the noise-free losses have no minimum.
    """

    flops: float
    runs: int
    least: float
    most: float
    parabola: Best
    law: Best
    bias: Bias | None


class Aside(NamedTuple):
    """A budget that does not count, and why."""

    flops: float
    runs: int
    reason: str


class Exponents(NamedTuple):
    """Exponent a of N* ~ C^a: approach 2, approach 3, and how much approach 2 is off."""

    parabola: Range
    law: Range
    bias: float | None


class Ahead(NamedTuple):
    """The line of approach 2 and the law at a compute, with the largest budget in units of it."""

    flops: float
    times: float
    parabola: Best
    law: Best
    bias: Bias | None


class IsoFlop(NamedTuple):
    """Both approaches on the runs of one data set.

    Attributes
    ----------
    budgets : list of AtBudget
    aside : list of Aside
    left : int
        Runs in no budget.
    exponents : Exponents or None
        None with fewer than two budgets.
    ahead : list of Ahead
    scatter : float or None
        Of runs about their parabolas, relative to the loss.
    freedom : int
        Degrees of freedom of the scatter of independent runs.
    together : int
        Rows of the budgets beyond the first of their run, design or trunk.
    level : float
    """

    budgets: list[AtBudget]
    aside: list[Aside]
    left: int
    exponents: Exponents | None
    ahead: list[Ahead]
    scatter: float | None
    freedom: int
    together: int
    level: float
