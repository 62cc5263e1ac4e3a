"""The law of a frontier, `scalebed.laws.compute`, with intervals from resampled points."""

from typing import Any, Final, NamedTuple

import numpy as np

from scalebed.fit.refit import refit
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Index

LAW: Final = get_law("compute")
# Of four amounts of compute a sample lacks two at most in 31 %: e^-3 + 3 e^-2 (1 - 1/e), where one
# has nearly all points and three have one each. After so many rounds none does.
_ROUNDS: Final = 100


class Bootstrap(NamedTuple):
    """How intervals are drawn: number of samples, nominal coverage, seed."""

    draws: int = 2000
    level: float = 0.9
    seed: int = 0


def fit_power(
    flops: Array, loss: Array, targets: dict[str, float], bootstrap: Bootstrap
) -> list[dict[str, Any]]:
    """Fit the law by least squares and resample the points for intervals.

    Parameters
    ----------
    flops, loss : array (n,)
    targets
        Compute at which to predict, by name.
    bootstrap
        Points are drawn with replacement. With fewer than twice as many points as parameters, or
        too few different ones, there are no intervals: the samples would mostly be exact fits.

    Returns
    -------
    list of dict
        ``{"quantity", "value", "lower", "upper"}`` for E, lambda, eta and every target.

    Notes
    -----
    The points must pass ``LAW.refusal``.
    """
    best = refit(LAW, (flops,), loss).theta
    quantities = [*(parameter.name for parameter in LAW.parameters), *targets]
    at = np.array(list(targets.values()), dtype=np.float64)
    values = np.concatenate([best, LAW.predict(best, (at,))], axis=-1)[0]
    lower = upper = [None] * len(quantities)
    needed = len(LAW.parameters)
    if bootstrap.draws and flops.size >= 2 * needed and len(set(flops.tolist())) > needed:
        chosen = _resample(flops, bootstrap)
        draws = refit(LAW, (flops[chosen],), loss[chosen]).theta
        drawn = np.concatenate([draws, LAW.predict(draws, (at,))], axis=-1)
        tail = (1 - bootstrap.level) / 2
        lower, upper = np.quantile(drawn, [tail, 1 - tail], axis=0).tolist()
    return [
        {"quantity": name, "value": float(value), "lower": low, "upper": high}
        for name, value, low, high in zip(quantities, values, lower, upper, strict=True)
    ]


def _resample(flops: Array, bootstrap: Bootstrap) -> Index:
    """Return indices (draws, n), redrawn where the sample could not identify the law."""
    generator = np.random.default_rng(bootstrap.seed)
    index = generator.integers(flops.size, size=(bootstrap.draws, flops.size))
    for _ in range(_ROUNDS):
        ranked = np.sort(flops[index], axis=1)
        poor = 1 + (np.diff(ranked, axis=1) > 0).sum(axis=1) < len(LAW.parameters)
        if not poor.any():
            return index
        index[poor] = generator.integers(flops.size, size=(int(poor.sum()), flops.size))
    raise AssertionError("points of more amounts of compute than parameters are drawn again")
