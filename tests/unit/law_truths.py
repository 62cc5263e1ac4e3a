"""Random truths of every law on a design that can identify it: 5 sizes at 5 token multipliers."""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Law

SIZES = np.geomspace(1e7, 1e9, 5)
MULTIPLIERS = np.geomspace(5, 320, 5)
CHANCE = 0.75
# The middle of the design, where every term is of the order of a loss.
N0, D0 = 1e8, 4e9
# Share of its value by which rounding of the data alone may move a parameter: well below 1e-6.
_ROUNDING = 1e-8


def design(law: Law, size: float = 1.0, loss: float = 1.0) -> Inputs:
    """Inputs of 25 points; N and D times `size`, the losses of error laws times `loss`."""
    params, ratio = (a.ravel() for a in np.meshgrid(SIZES * size, MULTIPLIERS))
    columns = {
        "params": params,
        "tokens": params * ratio,
        "flops": 6 * params**2 * ratio,
        "unique_tokens": np.minimum(params * ratio, 3e9 * size),
        "loss": np.linspace(2.2, 4.8, params.size) * loss,
        "chance": np.full(params.size, CHANCE),
    }
    return tuple(columns[name] for name in law.inputs)


class Draws:
    """Numbers within ranges from a list of numbers within 0 .. 1."""

    def __init__(self, shares: list[float]) -> None:
        self.shares = iter(shares)

    def flat(self, low: float, high: float) -> float:
        return low + (high - low) * next(self.shares)

    def scale(self, low: float, high: float) -> float:
        return float(low * (high / low) ** next(self.shares))


def truth(name: str, shares: list[float], size: float = 1.0, loss: float = 1.0) -> Array:
    """Parameters of a law from nine numbers within 0 .. 1, for `design` of the same scales."""
    draws = Draws(shares)
    if name in _RUN:
        return np.array(_RUN[name](draws, N0 * size, D0 * size))
    return np.array(_LOSS[name](draws, loss))


def rounded(law: Law, theta: Array, x: Inputs) -> bool:
    """Whether rounding of the data moves no parameter by more than 1e-8 of it.

    Where it does, doubles do not hold the parameter to 1e-6 whatever the method of fitting: a
    sigmoid whose turning point no run comes near, say, or the curvature of a slope that is 0.
    """
    jacobian = law.gradient(theta, x)
    scale = np.linalg.norm(jacobian, axis=0)
    if not scale.min() > 0:
        return False
    rows = np.linalg.pinv(jacobian / scale) / scale[:, None]
    error = np.finfo(float).eps * np.abs(law.value(theta, x)).max() * np.linalg.norm(rows, axis=1)
    return bool(np.all(error <= _ROUNDING * np.abs(theta)))


def _tied(u: Draws, n: float, d: float) -> list[float]:
    alpha = u.flat(0.15, 0.6)
    return [u.flat(0.5, 3), u.flat(0.3, 2) * n**alpha, u.flat(0.3, 2) * d**alpha, alpha]


def _chinchilla(u: Draws, n: float, d: float) -> list[float]:
    alpha, beta = u.flat(0.15, 0.6), u.flat(0.15, 0.6)
    return [u.flat(0.5, 3), u.flat(0.3, 2) * n**alpha, u.flat(0.3, 2) * d**beta, alpha, beta]


def _gamma(u: Draws, n: float, d: float) -> list[float]:
    return [*_chinchilla(u, n, d), u.scale(0.3, 2)]


def _constrained(u: Draws, n: float, d: float) -> list[float]:
    alpha = u.flat(0.2, 0.6)
    size = u.flat(0.3, 2) * n**alpha
    data = size * u.scale(10, 100) ** alpha
    return [u.flat(0.5, 3), size, data, alpha, u.scale(3, 40), u.scale(2, 20)]


def _log_linear(u: Draws, n: float, d: float) -> list[float]:
    alpha, beta = u.flat(0.03, 0.3), u.flat(0.03, 0.3)
    return [u.flat(2, 5) * n**alpha * d**beta, alpha, beta]


def _farseer(u: Draws, n: float, d: float) -> list[float]:
    power = u.flat(np.log(0.2), np.log(0.6))
    floor = [u.flat(0.3, 1), u.flat(-0.15, -0.03), u.flat(-0.4, 0.4)]
    weight = [u.flat(-0.5, 0.7) + np.exp(power) * np.log(d), u.flat(-0.6, -0.05), u.flat(-0.3, 0.3)]
    return [*floor, *weight, power, u.flat(-0.15, 0.1), u.flat(-0.3, 0.3)]


def _compute(u: Draws, n: float, d: float) -> list[float]:
    eta = u.flat(0.05, 0.4)
    return [u.flat(0.5, 3), u.flat(0.3, 2) * (6 * n * d) ** eta, eta]


def _tied_error(u: Draws, n: float, d: float) -> list[float]:
    alpha = u.flat(0.15, 0.35)
    return [u.flat(0.05, 0.3), u.flat(0.03, 0.1) * n**alpha, u.flat(0.01, 0.05) * d**alpha, alpha]


def _neglog(u: Draws, n: float, d: float) -> list[float]:
    alpha, beta = u.flat(0.15, 0.6), u.flat(0.15, 0.6)
    return [u.flat(0.1, 1) * n**alpha, u.flat(0.1, 1) * d**beta, alpha, beta]


def _sigmoid_tied(u: Draws, n: float, d: float) -> list[float]:
    alpha = u.flat(0.15, 0.6)
    terms = u.flat(0.3, 2) * n**alpha, u.flat(0.3, 2) * d**alpha
    return [u.flat(0.01, 0.35), u.flat(0.4, 0.95), *terms, alpha]


def _neglog_compute(u: Draws, n: float, d: float) -> list[float]:
    alpha = u.flat(0.05, 0.4)
    return [u.flat(0.1, 2) * (6 * n * d) ** alpha, alpha]


def _power_error(u: Draws, n: float, d: float) -> list[float]:
    power = u.flat(0.05, 0.3)
    return [u.flat(0.05, 0.3), u.flat(0.02, 0.08) * (6 * n * d) ** power, power]


def _log_compute(u: Draws, n: float, d: float) -> list[float]:
    slope = u.flat(0.01, 0.03)
    return [u.flat(0.3, 0.6) + slope * np.log(6 * n * d), slope]


_RUN = {
    "tied": _tied,
    "chinchilla": _chinchilla,
    "gamma": _gamma,
    "kaplan": _chinchilla,
    "constrained": _constrained,
    "farseer": _farseer,
    "compute": _compute,
    "kaplan_no_floor": lambda u, n, d: _chinchilla(u, n, d)[1:],
    "log_linear": _log_linear,
    "tied_error": _tied_error,
    "neglog": _neglog,
    "sigmoid_tied": _sigmoid_tied,
    "neglog_compute": _neglog_compute,
    "logistic": lambda u, n, d: [
        u.flat(0.3, 0.95),
        u.flat(0.2, 1),
        np.log(6 * n * d) + u.flat(-2, 2),
    ],
    "logistic_chance": lambda u, n, d: [
        u.flat(0.05, 0.6),
        u.flat(0.2, 1),
        np.log(6 * n * d) + u.flat(-2, 2),
    ],
    "power_error": _power_error,
    "log_compute": _log_compute,
}


def _decay(u: Draws, scale: float) -> list[float]:
    rate = u.flat(0.5, 3)
    return [u.flat(0.6, 1), u.flat(0.1, 0.5) * np.exp(rate * 2.2), rate / scale]


_LOSS = {
    "decay": _decay,
    "decay_chance": lambda u, scale: _decay(u, scale)[1:],
    "sigmoid": lambda u, scale: [
        u.flat(0.05, 0.4),
        u.flat(0.3, 0.95),
        u.scale(1.5, 8) / scale,
        u.flat(2.4, 4.4) * scale,
    ],
    "sigmoid_chance": lambda u, scale: [
        u.flat(0.05, 0.6),
        u.scale(1, 8) / scale,
        u.flat(2.4, 4.4) * scale,
    ],
    "linear": lambda u, scale: [u.flat(0.02, 0.2), u.flat(0.02, 0.15) / scale],
}
