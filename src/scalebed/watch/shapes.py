"""Whether runs have the same schedule, by the shape of their learning rates.

Warm-up is left out of the comparison: it is usually a number of steps, and so another share of a
short run than of a long one. Where a run has not gone on for as long as its warm-up took, its loss
says more of the warm-up than of the run, and nothing is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from scalebed.laws.forms.base import Array
from scalebed.watch.ladder import FEWEST, Rung, warm_up, warmed_up
from scalebed.watch.live import LiveCurve

OTHER_RATE: Final = 0.05
"""Difference of learning rates over their peak that makes another schedule."""


class Alike(NamedTuple):
    """Rungs that a run can be compared with.

    Attributes
    ----------
    rungs : list of Rung
        Those of its schedule, and those whose rates are not told.
    left : int
        Rungs of another schedule.
    untold : str or None
        Why nothing can be compared.
    """

    rungs: list[Rung]
    left: int
    untold: str | None


def alike(curve: LiveCurve, rungs: Sequence[Rung], total: float) -> Alike:
    """Find the rungs that have the schedule of a run so far.

    Parameters
    ----------
    curve : LiveCurve
        With tokens at every row.
    rungs : sequence of Rung
    total : float
        Tokens of the whole run.
    """
    known = np.isfinite(curve.lr) & (curve.lr >= 0)
    if not known.any() or not curve.lr[known].max() > 0:
        return Alike(list(rungs), 0, None)
    fraction, rate = curve.tokens[known] / total, curve.lr[known]
    if not warmed_up(fraction, rate, float(fraction[-1])):
        risen = warm_up(fraction, rate)
        return Alike(
            list(rungs),
            0,
            f"the learning rate rose until {risen:.1%} of the schedule, of which "
            f"{fraction[-1]:.1%} are done: a run is compared from twice its warm-up on, "
            f"{2 * risen:.1%}",
        )
    apart = [_apart(fraction, rate, rung) for rung in rungs]
    same = [rung for rung, off in zip(rungs, apart, strict=True) if off <= OTHER_RATE]
    left = len(rungs) - len(same)
    if not left or len(same) >= FEWEST:
        return Alike(same, left, None)
    first = next(i for i, off in enumerate(apart) if off > OTHER_RATE)
    others = f" (as of {left - 1} more of {len(rungs)} runs)" if left > 1 else ""
    untold = (
        f"the learning rate is {apart[first]:.0%} of its peak off that of {rungs[first].name} at "
        f"equal progress{others}: another schedule, expected --reference or --multi-power"
    )
    return Alike(same, left, untold)


def _apart(fraction: Array, rate: Array, rung: Rung) -> float:
    """How far two rates are from each other over most of the rows after both warm-ups."""
    there = rung.fraction <= fraction[-1]
    if not np.all(np.isfinite(rung.lr)) or not there.any() or rung.lr[there].max() <= 0:
        return 0.0
    start = max(warm_up(fraction, rate), warm_up(rung.fraction[there], rung.lr[there]))
    inside = fraction >= start
    shape = np.interp(fraction[inside], rung.fraction, rung.lr / rung.lr[there].max())
    off = np.abs(rate[inside] / rate.max() - shape)
    # Rounding to whole steps shifts what is steep.
    return float(np.quantile(off, 0.95)) if off.size else 0.0
