"""Is a run on its curve, and where will it end: its loss so far against what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from scalebed.watch.ladder import Mean
from scalebed.watch.trend import Ratio

ON, AHEAD, BEHIND = "on its curve", "ahead of its curve", "behind its curve"
EARLY: Final = 0.02
"""Fraction of the schedule before which nothing is said."""
LEFT: Final = 0.1
"""Share of runs that are believed to leave their curve, before anything is seen of them."""
FAR: Final = 0.1
"""How far the ends of those are off what was expected: standard deviation of the logarithm."""


class Prior(NamedTuple):
    """What was expected of the end: a normal of the logarithm of the response.

    Attributes
    ----------
    value, sd : float
    words : str
        Where it comes from.
    counts : bool
        Whether forecasts take it in; else the run is only compared with it.
    """

    value: float
    sd: float
    words: str
    counts: bool = True


@dataclass(frozen=True)
class Forecast:
    """Where a run stands, at a fraction of its schedule.

    Attributes
    ----------
    fraction, level : float
    now : float
        Its loss, averaged over the last part of the schedule; in nats.
    prior : Prior
    alone : tuple of float
        End by the live curve alone: middle, lower and upper limit.
    end : tuple of float
        Forecast of the end: with the prior, as far as the run is believed to be on its curve.
    on : float
        Probability of that; 0 where the prior does not count.
    off : float
        ln(end by the live curve / prior).
    behind : float
        Probability that the run is behind: that noise and the prior's own error together leave
        a run that is on its curve below this loss.
    words : str
        What the live curve was compared with.
    """

    fraction: float
    level: float
    now: float
    prior: Prior
    alone: tuple[float, float, float]
    end: tuple[float, float, float]
    on: float
    off: float
    behind: float
    words: str

    @property
    def verdict(self) -> str:
        """`BEHIND` or `AHEAD` where that is beyond the interval of a run on its curve."""
        sure = (1 + self.level) / 2
        if self.behind >= sure:
            return BEHIND
        return AHEAD if self.behind <= 1 - sure else ON

    def record(self) -> dict[str, Any]:
        """Return built-in values."""
        return {
            "fraction": self.fraction,
            "level": self.level,
            "now": self.now,
            "verdict": self.verdict,
            "deviation": float(np.expm1(self.off)),
            "probability_behind": self.behind,
            "expected": float(np.exp(self.prior.value)),
            "expected_by": self.prior.words,
            "end_alone": dict(zip(("predicted", "lower", "upper"), self.alone, strict=True)),
            "end": dict(zip(("predicted", "lower", "upper"), self.end, strict=True)),
            "probability_on_curve": self.on,
            "compared_with": self.words,
        }


def prior_of(seal: Mapping[str, Any]) -> Prior:
    """Return the prior of a seal: the normal of the logarithm with its median and interval."""
    said = seal["prediction"]
    quantiles = np.log(said["quantiles"])
    middle = float(quantiles[(quantiles.size - 1) // 2])
    width = np.log(said["upper"]) - np.log(said["lower"])
    return Prior(middle, float(width / (2 * ndtri((1 + said["level"]) / 2))), "sealed")


def forecast(fraction: float, now: Mean, ratio: Ratio, prior: Prior, level: float) -> Forecast:
    """Compare a run with what was expected of it, and forecast its end.

    The live curve says ln end = ln now - ratio. Its error and that of the prior are independent. A
    run on its curve ends at the mean of both by precision; one that has left it, which `LEFT` are
    believed to do and end `FAR` from the prior, where its live curve says. The forecast is the
    mixture of these two normals, weighed by how far the two statements are apart.

    Parameters
    ----------
    fraction : float
        Of the schedule.
    now : Mean
        Loss of the run there.
    ratio : Ratio
    prior : Prior
    level : float
        Of intervals and verdict.
    """
    own = 0.0 if not np.isfinite(now.error) else (now.error / now.value) ** 2
    # The scatter of the ladder contains the noise of its own windows already.
    sd = float(np.sqrt(ratio.sd**2 + max(0.0, own - ratio.sampling)))
    value = float(np.log(now.value)) - ratio.value
    off = value - prior.value
    behind = float(ndtr(off / np.hypot(sd, prior.sd)))
    alone = _Normal(value, sd)
    on = _on(off, float(np.hypot(sd, prior.sd))) if prior.counts else 0.0
    weights = np.array([sd**-2, prior.sd**-2])
    both = _Normal(float(weights @ [value, prior.value] / weights.sum()), weights.sum() ** -0.5)
    return Forecast(
        fraction=fraction,
        level=level,
        now=now.value,
        prior=prior,
        alone=_limits(alone, alone, 0.0, level),
        end=_limits(both, alone, on, level),
        on=on,
        off=off,
        behind=behind,
        words=ratio.words,
    )


class _Normal(NamedTuple):
    """Mean and standard deviation of the logarithm of the end."""

    value: float
    sd: float


def _on(off: float, sd: float) -> float:
    """Probability that a run is on its curve, `off` from it where noise alone makes `sd`."""
    far = np.hypot(sd, FAR)
    stayed = (1 - LEFT) * np.exp(-0.5 * (off / sd) ** 2) / sd
    left = LEFT * np.exp(-0.5 * (off / far) ** 2) / far
    return float(stayed / (stayed + left))


def _limits(one: _Normal, other: _Normal, share: float, level: float) -> tuple[float, float, float]:
    """Middle, lower and upper limit of a mixture, of which `one` is a share."""
    low, high = (
        f(n.value + side * 10 * n.sd for n in (one, other)) for f, side in ((min, -1), (max, 1))
    )

    def rest(at: float, content: float) -> float:
        below = [float(ndtr((at - n.value) / n.sd)) for n in (one, other)]
        return share * below[0] + (1 - share) * below[1] - content

    tail = (1 - level) / 2
    found = [brentq(rest, low, high, (content,), xtol=1e-9) for content in (0.5, tail, 1 - tail)]
    middle, lower, upper = np.exp(found).tolist()
    return middle, lower, upper


def sentences(found: Forecast, what: str) -> list[str]:
    """Return what is said to people.

    Parameters
    ----------
    found : Forecast
    what : str
        Which loss was compared.
    """
    middle, low, high = found.end
    sure = max(found.behind, 1 - found.behind)
    where = "above" if found.off > 0 else "below"
    side = "behind" if found.off > 0 else "ahead"
    how = f"(with a probability of {found.on:.0%} on its curve)"
    if not found.prior.counts:
        how = "by the live curve alone"
    return [
        f"{found.fraction:.1%} of the schedule, {what} {found.now:.4f}",
        f"{found.verdict}: it points to {found.alone[0]:.4f}, {abs(np.expm1(found.off)):.2%} "
        f"{where} the {np.exp(found.prior.value):.4f} {found.prior.words} "
        f"(probability that it is {side}: {sure:.3f})",
        f"forecast of the end {middle:.4f} [{low:.4f}, {high:.4f}] {how}; compared with "
        f"{found.words}",
    ]
