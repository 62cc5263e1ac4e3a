"""Kaplan's loss law with a floor.

    L(N, D) = E + [(N_c / N)^(alpha_N / alpha_D) + D_c / D]^alpha_D
            = E + [(A N^-alpha_N)^(1 / alpha_D) + (B D^-alpha_D)^(1 / alpha_D)]^alpha_D

with A = N_c^alpha_N and B = D_c^alpha_D. Source: Kaplan et al., arXiv 2001.08361, Eq. 1.5, which
has no floor (law `kaplan_no_floor`). A and B are the losses above the floor where the other input
is not the limit; N_c and D_c, often 1e13 and more, follow from them.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, ComputeOptimal, Inputs, Parameter
from scalebed.laws.forms.formula import Formula, Scaling
from scalebed.laws.forms.jets import Jet, log_sum
from scalebed.laws.forms.optimal import balanced
from scalebed.laws.forms.starts import axes, best, slopes, thinned

# The exponent of D also shapes the corner between the two limits: near 0 it is the larger of the
# two terms, above 2 no published fit lies.
_EXPONENTS = (0.02, 2.0)
_DERIVED = (
    Parameter("N_c", "params", 0.0, np.inf, "scale of N, A^(1 / alpha_N)"),
    Parameter("D_c", "tokens", 0.0, np.inf, "scale of D, B^(1 / alpha_D)"),
)
PARAMETERS = (
    Parameter("E", "nats", 0.0, np.inf, "irreducible loss"),
    Parameter("A", "nats params^alpha_N", 0.0, np.inf, "weight of the size term, N_c^alpha_N"),
    Parameter("B", "nats tokens^alpha_D", 0.0, np.inf, "weight of the data term, D_c^alpha_D"),
    Parameter("alpha_N", "1", *_EXPONENTS, "exponent of N where D is no limit"),
    Parameter("alpha_D", "1", *_EXPONENTS, "exponent of D where N is no limit"),
)


class Kaplan(Formula):
    """Kaplan's form with a floor; theta = (E, A, B, alpha_N, alpha_D)."""

    name: str = "kaplan"
    inputs: tuple[str, ...] = ("params", "tokens")
    formula: str = "L = E + [(N_c / N)^(alpha_N / alpha_D) + D_c / D]^alpha_D"
    source: str = "Kaplan et al. 2020, arXiv 2001.08361, Eq. 1.5, and a floor"
    parameters: tuple[Parameter, ...] = PARAMETERS
    derived: tuple[Parameter, ...] = _DERIVED
    scalings: tuple[Scaling, ...] = (Scaling(1, ((0, 3),), True), Scaling(2, ((1, 4),), True))
    scaled: tuple[int, ...] = (0,)
    origins: tuple[tuple[int, ...], ...] = ((0,), (1,))

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        return theta[0] + joined(theta[1:], theta[4], x)

    def value(self, theta: Array, x: Inputs) -> Array:
        """Evaluate the formula; theta (..., p), inputs (n,) or (..., n), result (..., n)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return super().value(theta, x)

    def derive(self, theta: Array) -> Array:
        """(N_c, D_c), shape (..., 2)."""
        with np.errstate(over="ignore"):
            return theta[..., -4:-2] ** (1 / theta[..., -2:])

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Given E and the exponents, (L - E)^(1 / alpha_D) is linear in A and B of powers."""
        return searched(self, x, y, weights, np.array([0, 0.3, 0.6, 0.8, 0.9, 0.97]))

    def compute_optimal(self, theta: Array, flops: Array) -> ComputeOptimal | None:
        """N* and D* minimise A^(1 / alpha_D) N^-(alpha_N / alpha_D) + B^(1 / alpha_D) / D."""
        size, data, alpha, beta = (theta[..., i] for i in range(-4, 0))
        with np.errstate(divide="ignore"):
            logs = np.log(size) / beta, np.log(data) / beta
        return balanced(*logs, alpha / beta, np.ones_like(beta), flops)


def joined(theta: tuple[Jet, ...], shape: Jet, x: Inputs) -> Jet:
    """Evaluate [(A N^-alpha)^(1 / shape) + (B D^-beta)^(1 / shape)]^shape.

    In logarithms, because the inner powers are far out of range.
    """
    size, data, alpha, beta = theta
    inner = shape.inverse()
    first = (size.log() - alpha * np.log(x[0])) * inner
    second = (data.log() - beta * np.log(x[1])) * inner
    return (shape * log_sum(first, second)).exp()


def searched(law: Formula, x: Inputs, y: Array, weights: Array, floors: Array) -> Array:
    """Find starts over a grid of the floor, a share of the least loss, and the exponents."""
    x, y, weights = thinned(x, y, weights)
    outer = axes(floors, np.geomspace(0.03, 1.5, 10))
    inner = np.geomspace(0.03, 1.5, 14)
    grid = np.concatenate(
        [np.repeat(outer, inner.size, 0), np.tile(inner, len(outer))[:, None]], axis=1
    )
    floor, beta, alpha = grid[:, :1] * np.min(y), grid[:, 1:2], grid[:, 2:]
    rest = y - floor
    # In units of the largest z, which may be 1e30 of the smallest.
    top = np.max(rest, axis=1, keepdims=True)
    z = (rest / top) ** (1 / beta)
    pull = weights * (beta * rest / z) ** 2 / top**2
    inner_powers = np.concatenate([alpha / beta, np.ones_like(beta)], axis=1)
    with np.errstate(over="ignore"):
        phi = np.exp(-inner_powers[:, None] * np.log(np.stack(x[:2], axis=-1)))
        found = top * slopes(phi, z, pull)[:, 1:] ** beta
    columns = [found, alpha, beta] if len(law.parameters) == 4 else [floor, found, alpha, beta]
    groups = np.repeat(np.arange(len(outer)), inner.size)
    return best(law.value, x, y, weights, np.concatenate(columns, axis=1), groups)


LAW = Kaplan()
