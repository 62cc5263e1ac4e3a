"""Watch one run: read what there is, compare, and say it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.core.quantities import amount_text
from scalebed.laws.forms.base import Array
from scalebed.watch import alarms
from scalebed.watch.forecast import EARLY, Forecast, Prior, forecast, sentences
from scalebed.watch.ladder import WINDOW, Mean, Rung, end_of, ratio_at, window
from scalebed.watch.live import LiveCurve
from scalebed.watch.shapes import alike
from scalebed.watch.trend import Ratio

TRAINING, HELD_OUT = "training loss", "held-out loss"
_TOUCH: Final = 1e-3


@dataclass(frozen=True)
class Watched:
    """What is said of a run.

    Attributes
    ----------
    forecast : Forecast or None
    basis : str
        Which loss was compared.
    untold : str or None
        Why there is no forecast.
    warnings : tuple of str
    """

    forecast: Forecast | None
    basis: str
    untold: str | None
    warnings: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """Yield it as text."""
        if self.forecast is not None:
            yield from sentences(self.forecast, self.basis)
        else:
            yield f"not compared: {self.untold}"
        for warning in self.warnings:
            yield f"warning: {warning}"

    def record(self) -> dict[str, Any]:
        """Return it as built-in values."""
        return {
            "schema": "scalebed.watched",
            "version": 1,
            "basis": self.basis,
            "forecast": None if self.forecast is None else self.forecast.record(),
            "not_compared": self.untold,
            "warnings": list(self.warnings),
        }


def others(rungs: Sequence[Rung], params: float, tokens: float) -> list[Rung]:
    """Return the rungs that are not the run itself."""
    return [
        rung
        for rung in rungs
        if abs(np.log(rung.params / params)) > _TOUCH or abs(np.log(rung.tokens / tokens)) > _TOUCH
    ]


def watch_ladder(
    curve: LiveCurve,
    rungs: Sequence[Rung],
    target: tuple[float, float],
    *,
    prior: Prior | None,
    level: float,
    unique: float | None = None,
) -> Watched:
    """Compare a run with the runs of a ladder that have its schedule, at equal progress.

    Parameters
    ----------
    curve : LiveCurve
        With tokens at every row.
    rungs : sequence of Rung
        Not the run itself.
    target : tuple of float
        N and D of the run.
    prior : Prior, optional
        What was expected; if None the run is compared with the trend of the ladder's own ends.
    level : float
    unique : float, optional
        Tokens there are.
    """
    total = target[1]
    known = alike(curve, rungs, total)

    def compared(at: float, end: float, now: Mean) -> Forecast:
        ratio = ratio_at(known.rungs, end, target, level)
        if known.left:
            ratio = ratio._replace(
                words=f"{ratio.words}, {known.left} of another schedule left out"
            )
        expected = prior
        if expected is None:
            trend = end_of(known.rungs, target, level)
            expected = Prior(trend.value, trend.sd, "of the trend of the ladder's ends", False)
        return forecast(at, now, ratio, expected, level)

    return _watched(curve, total, unique, known.untold, compared)


def _watched(
    curve: LiveCurve,
    total: float,
    unique: float | None,
    untold: str | None,
    compared: Callable[[float, float, Mean], Forecast],
) -> Watched:
    """Choose the loss that is compared, collect warnings, and compare."""
    fraction = curve.tokens / total
    diverged = alarms.divergence(curve, total)
    repeated = alarms.repetition(curve, unique)
    gap = alarms.gap(curve, total)
    warnings = [said for said in (diverged, repeated, gap) if said is not None]
    if fraction[-1] > 1 + 2 * _TOUCH:
        seen, wanted = amount_text(float(curve.tokens[-1])), amount_text(total)
        raise ScalebedError(f"{curve.name} has {seen} tokens, more than the {wanted} of the run")
    basis, at = TRAINING, min(1.0, float(fraction[-1]))
    now, end = window(fraction, curve.loss, at), at
    if repeated or gap:
        basis = HELD_OUT
        # Training loss of text that was seen before tells nothing of new text.
        now, at, end = _held_out(curve, fraction)
        if now is None:
            untold = untold or (
                "the training loss of repeated text says nothing of new text, expected a column "
                "held_out"
            )
    if now is not None and not np.isfinite(now.value):
        untold = untold or "the loss is not finite"
    if at < EARLY:
        untold = untold or f"{at:.1%} of the schedule are too few, expected {EARLY:.0%}"
    found = None
    if untold is None and now is not None:
        found = compared(at, end, now)
    return Watched(found, basis, untold, tuple(warnings))


def _held_out(curve: LiveCurve, fraction: Array) -> tuple[Mean | None, float, float]:
    """Return the last held-out loss, where it was, and the end of the window that matches it."""
    if not curve.held_out.size:
        return None, float(fraction[-1]), float(fraction[-1])
    scale = float(fraction[-1] / curve.tokens[-1])
    at = float(curve.held_at[-1]) * scale
    return Mean(float(curve.held_out[-1]), np.nan, 1), at, min(1.0, at + WINDOW / 2)


def watch_schedule(
    curve: LiveCurve,
    ratio: Callable[[float], Ratio],
    *,
    total: float,
    prior: Prior | None,
    level: float,
    unique: float | None = None,
) -> Watched:
    """Compare a run with a law of schedules.

    Parameters
    ----------
    curve : LiveCurve
    ratio : callable
        From the fraction to ln(loss there / at the end), a `Ratio`.
    total : float
        Tokens of the whole run.
    prior : Prior, optional
        What was expected; nothing if None.
    level : float
    unique : float, optional
        Tokens there are.
    """

    def compared(at: float, end: float, now: Mean) -> Forecast:
        found = ratio(end)
        expected = prior
        if expected is None:
            value = float(np.log(now.value)) - found.value
            expected = Prior(value, 1e6, "of the live curve itself, as nothing was sealed", False)
        return forecast(at, now, found, expected, level)

    return _watched(curve, total, unique, None, compared)


def about(seal: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the seal says, in a line."""
    from scalebed.watch.seals import despite, interval_text, target_text

    yield f"{target_text(seal)}: sealed {seal['date'][:10]}, {interval_text(seal)}"
    yield from despite(seal)
