"""What is wrong with a run whatever was expected of it: divergence, and data that repeat."""

from __future__ import annotations

from typing import Final

import numpy as np

from scalebed.laws.forms.base import Array
from scalebed.watch.ladder import WINDOW, window
from scalebed.watch.live import LiveCurve

PART: Final = 0.02
"""Share of the schedule whose mean loss is looked at for divergence."""
RISE: Final = 0.01
"""Relative rise of the loss above its least that is no noise."""
SIGMAS: Final = 4.0
GAP: Final = 0.02
"""Held-out over training loss, and its growth, that speak of repeated data."""
SETTLED: Final = 0.1
"""Fraction from which held-out and training loss are compared; before, both fall fast."""


def divergence(curve: LiveCurve, total: float) -> str | None:
    """Say whether a run diverges: a loss that is not finite, or one that rises above its least.

    Means of a fiftieth of the schedule each are compared; the last has to lie above the least of
    the earlier ones by 1 % and by four standard errors of their difference.

    Parameters
    ----------
    curve : LiveCurve
    total : float
        Tokens of the whole run.
    """
    bad = np.flatnonzero(~np.isfinite(curve.loss))
    if bad.size:
        return f"diverged: the loss of row {bad[0] + 1} is {curve.loss[bad[0]]}"
    fraction = curve.tokens / total
    last = float(fraction[-1])
    means = [_mean(fraction, curve.loss, last - k * PART) for k in range(int(last / PART))]
    known = [mean for mean in means if mean is not None]
    if len(known) < 2:
        return None
    now, least = known[0], min(known[1:], key=lambda mean: mean[0])
    rise = now[0] - least[0]
    if rise > RISE * least[0] and rise > SIGMAS * np.hypot(now[1], least[1]):
        return (
            f"diverging: the loss has risen to {now[0]:.4f}, {rise / least[0]:.1%} above the "
            f"{least[0]:.4f} it had reached"
        )
    return None


def _mean(fraction: Array, loss: Array, end: float) -> tuple[float, float] | None:
    values = loss[(fraction > end - PART) & (fraction <= end + 1e-12)]
    if values.size < 4:
        return None
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size))


def repetition(curve: LiveCurve, unique: float | None) -> str | None:
    """Say whether a run sees tokens again.

    Parameters
    ----------
    curve : LiveCurve
    unique : float, optional
        Tokens there are.
    """
    seen = float(curve.tokens[-1])
    if unique is None or seen <= unique:
        return None
    return f"repeated data: {seen / unique:.3g} passes over {unique:.4g} tokens so far"


def gap(curve: LiveCurve, total: float) -> str | None:
    """Say whether held-out loss leaves training loss, or rises: signs of repeated data.

    Parameters
    ----------
    curve : LiveCurve
    total : float
        Tokens of the whole run.
    """
    fraction, at = curve.tokens / total, curve.held_at / total
    # Around each point: losses before it alone would be higher, the more so the earlier it is.
    last = float(fraction[-1])
    pairs = [
        (float(held), mean.value)
        for where, held in zip(at.tolist(), curve.held_out.tolist(), strict=True)
        if where >= SETTLED
        and (mean := window(fraction, curve.loss, min(where + WINDOW / 2, last))) is not None
    ]
    if len(pairs) < 2:
        return None
    gaps = [held / trained - 1 for held, trained in pairs]
    if gaps[-1] > GAP and gaps[-1] - gaps[0] > GAP:
        return (
            f"held-out loss leaves training loss: {gaps[-1]:+.1%} of it, {gaps[0]:+.1%} before; "
            "data seem to repeat"
        )
    least = min(held for held, _ in pairs)
    if pairs[-1][0] > (1 + RISE) * least:
        return f"held-out loss rises: {pairs[-1][0]:.4f} after {least:.4f}"
    return None
