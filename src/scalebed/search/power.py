"""The law of a frontier: L(C) = E + lambda C^(-eta), Eq. 1 of arXiv 2403.08540.

Symbols: C = 6 N D FLOPs, L loss in nats, E irreducible loss.
"""

from typing import Any, NamedTuple

import numpy as np

from scalebed.fit.engine import refit
from scalebed.laws.base import Array, Index, Inputs, Parameter, value_refusal


class Power:
    """E + lambda exp(-eta ln C); theta = (E, lambda, eta), input (flops,)."""

    name: str = "power"
    version: int = 1
    kind: str = "loss"
    inputs: tuple[str, ...] = ("flops",)
    formula: str = "L = E + lambda C^-eta"
    source: str = "Gadre et al. 2024, arXiv 2403.08540, Eq. 1"
    parameters: tuple[Parameter, ...] = (
        Parameter("E", "nats", 0.0, np.inf, "irreducible loss"),
        Parameter("lambda", "nats FLOPs^eta", 0.0, np.inf, "weight of the power law"),
        Parameter("eta", "", 0.0, np.inf, "exponent of compute"),
    )
    derived: tuple[Parameter, ...] = ()
    sign: float = 1.0
    nodes: int = 96

    def features(self, x: Inputs) -> Array:
        """Return ln C, shape (..., n, 1)."""
        return np.log(np.stack(x, axis=-1))

    def domain(self, x: Inputs) -> tuple[float, float]:
        """Return the searched interval of eta."""
        return 0.005, 2.0

    def predict(self, theta: Array, x: Inputs) -> Array:
        """Loss; theta (..., 3), input (n,) or (..., n), result (..., n)."""
        floor, weight, exponent = (theta[..., i, None] for i in range(3))
        result: Array = floor + weight * np.exp(-exponent * np.log(x[0]))
        return result

    def derive(self, theta: Array) -> Array:
        """Nothing is derived: shape (..., 0)."""
        return np.empty((*theta.shape[:-1], 0))

    def refusal(self, x: Inputs, y: Array) -> str | None:
        """Why these points cannot identify the law, or None."""
        return value_refusal(self, x, y)


LAW = Power()


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
    best = refit(LAW, (flops,), loss[None]).theta
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
    while True:
        ranked = np.sort(flops[index], axis=1)
        poor = 1 + (np.diff(ranked, axis=1) > 0).sum(axis=1) < len(LAW.parameters)
        if not poor.any():
            return index
        index[poor] = generator.integers(flops.size, size=(int(poor.sum()), flops.size))
