"""Approach 2 of Hoffmann et al. beside approach 3, on the same runs, both with intervals.

Approach 2 takes N* of every budget from a parabola, approach 3 from the law that is fitted to all
runs. A loss that follows Chinchilla's law is no parabola in ln N, so approach 2 is biased, by an
amount that depends on the exponents and on which sizes were trained. The bias is what approach 2
makes of noise-free losses of the fitted law at exactly the runs there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from scalebed.decide.curve import Curve
from scalebed.decide.isoflop.approaches import (
    Ahead,
    Aside,
    AtBudget,
    Best,
    Bias,
    Exponents,
    IsoFlop,
    Range,
)
from scalebed.decide.isoflop.budgets import LEAST, Budget, sizes_of
from scalebed.decide.isoflop.parabola import Line, Parabola, parabola_of
from scalebed.decide.isoflop.scatter import Scatter, drawn_vertices, scatter_of
from scalebed.decide.optimum import at_compute
from scalebed.decide.surface import Surface, inputs_for
from scalebed.laws.forms.base import Array, Index

_ASIDE: Final = {
    "sizes": "runs of fewer than three sizes, which fix no parabola",
    "bend": "the parabola through its runs has no minimum",
    "range": "the minimum of its parabola lies outside the sizes that were trained",
    "scatter": "its runs scatter too much to show a minimum",
}


def isoflop(
    curve: Curve, budgets: Sequence[Budget], computes: Sequence[float], seed: int = 0
) -> IsoFlop:
    """Compare the two approaches.

    Parameters
    ----------
    curve : Curve
        With runs.
    budgets : sequence of Budget
        Of the runs of the curve.
    computes : sequence of float
        Where both are carried to.
    seed : int
        Of the draws of approach 2.
    """
    kept, aside = _sorted_out(curve, budgets)
    rows = _rows(kept)
    groups = curve.grouped(rows)
    scatter = scatter_of([one.parabola for one in kept], groups)
    if scatter is not None:
        drawn = _with_draws(kept, groups, scatter, seed)
        kept = [one for one in drawn if limits(one.drawn, curve.level)]
        aside += [
            _aside(one.budget, "scatter") for one in drawn if not limits(one.drawn, curve.level)
        ]
    both = Both(curve, kept)
    return IsoFlop(
        budgets=[both.at_budget(k) for k in range(len(kept))],
        aside=sorted(aside),
        left=curve.params.size - len({row for one in budgets for row in one.rows.tolist()}),
        exponents=both.exponents() if len(kept) > 1 else None,
        ahead=[both.ahead(flops) for flops in computes] if len(kept) > 1 else [],
        scatter=None if scatter is None else scatter.value,
        freedom=0 if scatter is None else scatter.freedom,
        together=rows.size - np.unique(groups).size,
        level=curve.level,
    )


def limits(samples: Array | None, level: float) -> tuple[float, float] | None:
    """Interval of a number over draws, (draws,), not finite where it does not exist.

    None where the draws without one could hold a tail: then no limit is known.
    """
    if samples is None or np.mean(~np.isfinite(samples)) >= (1 - level) / 2:
        return None
    tails = ((1 - level) / 2, (1 + level) / 2)
    low, high = np.quantile(samples[np.isfinite(samples)], tails, method="inverted_cdf")
    return float(low), float(high)


class _Fitted(NamedTuple):
    """A budget, its parabola, and draws of ln N* where the scatter is known."""

    budget: Budget
    parabola: Parabola
    drawn: Array | None


class Both:
    """The two approaches on budgets that have a minimum.

    Parameters
    ----------
    curve : Curve
    kept : sequence of _Fitted
    """

    def __init__(self, curve: Curve, kept: Sequence[_Fitted]) -> None:
        self.curve = curve
        self.kept = kept
        self._surface = Surface(curve.law, curve.theta)
        self._middle = Surface(curve.law, curve.middle[None])
        self._vertices = np.array([one.parabola.vertex for one in kept])
        drawn = [one.drawn for one in kept if one.drawn is not None]
        self._drawn = np.stack(drawn, axis=1) if drawn else None
        self._free = np.array([_noise_free(curve, one.budget) for one in kept])
        if len(kept) > 1:
            self._flops = np.array([one.budget.flops for one in kept])
            self._line = Line.through(
                self._flops, np.array([one.parabola.variance for one in kept])
            )

    def at_budget(self, k: int) -> AtBudget:
        """Compare N* and D* of one budget."""
        budget, parabola, drawn = self.kept[k]
        low, high = np.exp([parabola.low, parabola.high])
        return AtBudget(
            flops=budget.flops,
            runs=budget.rows.size,
            least=float(low),
            most=float(high),
            parabola=self._best(parabola.vertex, drawn, budget.flops),
            law=self._law(budget.flops),
            bias=self._bias(self._free[k], budget.flops),
        )

    def exponents(self) -> Exponents:
        """Compare the exponents; that of the law is between the first and the last budget."""
        ends = (float(self._flops.min()), float(self._flops.max()))
        drawn = None if self._drawn is None else self._line.exponent(self._drawn)
        true, samples = (_slope(one, ends) for one in (self._middle, self._surface))
        bias = float(self._line.exponent(self._free)) - true[0]
        return Exponents(
            self._range(float(self._line.exponent(self._vertices)), drawn),
            self._range(float(true[0]), samples if self.curve.drawn else None),
            float(bias) if np.isfinite(bias) else None,
        )

    def ahead(self, flops: float) -> Ahead:
        """Carry both to a compute."""
        drawn = None if self._drawn is None else self._line.at(self._drawn, flops)
        return Ahead(
            flops=flops,
            times=flops / float(self._flops.max()),
            parabola=self._best(float(self._line.at(self._vertices, flops)), drawn, flops),
            law=self._law(flops),
            bias=self._bias(float(self._line.at(self._free, flops)), flops),
        )

    def _range(self, value: float, samples: Array | None) -> Range:
        low, high = limits(samples, self.curve.level) or (None, None)
        return Range(value, low, high)

    def _best(self, log_params: float, drawn: Array | None, flops: float) -> Best:
        # A parabola that hardly bends has its minimum beyond all floats.
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            sizes = None if drawn is None else np.exp(drawn)
            amounts = None if sizes is None else flops / 6 / sizes
        params = self._range(float(np.exp(log_params)), sizes)
        return Best(params, self._range(flops / 6 / params.value, amounts))

    def _law(self, flops: float) -> Best:
        middle, drawn = (at_compute(one, flops) for one in (self._middle, self._surface))
        has = self.curve.drawn
        return Best(
            self._range(float(middle.params[0]), drawn.params if has else None),
            self._range(float(middle.tokens[0]), drawn.tokens if has else None),
        )

    def _bias(self, log_params: float, flops: float) -> Bias | None:
        off = log_params - np.log(at_compute(self._middle, flops).params[0])
        if not np.isfinite(off):
            return None
        return Bias(float(np.expm1(off)), float(np.expm1(-off)))


def _slope(surface: Surface, ends: tuple[float, float]) -> Array:
    first, last = (np.log(at_compute(surface, flops).params) for flops in ends)
    result: Array = (last - first) / np.log(ends[1] / ends[0])
    return result


def _sorted_out(curve: Curve, budgets: Sequence[Budget]) -> tuple[list[_Fitted], list[Aside]]:
    """Fit the parabola of every budget that has one with a minimum among its sizes."""
    kept, aside = [], []
    for budget in budgets:
        params, loss = curve.params[budget.rows], curve.loss[budget.rows]
        if sizes_of(params) < LEAST:
            aside.append(_aside(budget, "sizes"))
            continue
        parabola = parabola_of(params, loss)
        reason = _missing(parabola)
        if reason is None:
            kept.append(_Fitted(budget, parabola, None))
        else:
            aside.append(_aside(budget, reason))
    return kept, aside


def _missing(parabola: Parabola) -> str | None:
    if np.isnan(parabola.vertex):
        return "bend"
    return None if parabola.low <= parabola.vertex <= parabola.high else "range"


def _aside(budget: Budget, why: str) -> Aside:
    return Aside(budget.flops, budget.rows.size, _ASIDE[why])


def _rows(kept: Sequence[_Fitted]) -> Index:
    """Rows of the curve in the order of the budgets."""
    return np.concatenate([np.zeros(0, np.int64), *(one.budget.rows for one in kept)])


def _with_draws(
    kept: Sequence[_Fitted], groups: Index, scatter: Scatter, seed: int
) -> list[_Fitted]:
    """Draw ln N* of every budget, under one scatter a draw."""
    draw = np.random.default_rng(seed)
    found = drawn_vertices([one.parabola for one in kept], groups, scatter, draw)
    return [one._replace(drawn=drawn) for one, drawn in zip(kept, found, strict=True)]


def _noise_free(curve: Curve, budget: Budget) -> float:
    """Return ln N* that approach 2 finds on losses of the law, at the runs of a budget."""
    rows = budget.rows
    params, tokens = curve.params[rows], curve.tokens[rows]
    unique = np.minimum(curve.unique_tokens[rows], tokens)
    loss = curve.law.predict(curve.middle, inputs_for(curve.law, params, tokens, unique))
    return parabola_of(params, loss).vertex
