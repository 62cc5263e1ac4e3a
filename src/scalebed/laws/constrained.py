"""Data-constrained loss law: repeated tokens and excess parameters are worth less than new ones.

    L = E + A N'^-alpha + B D'^-alpha
    D' = U_D + U_D R_D (1 - exp(-(D / U_D - 1) / R_D)),  U_D = min(D, unique tokens)
    N' = U_N + U_N R_N (1 - exp(-(N / U_N - 1) / R_N)),  U_N = min(N, U_D / M*)

Source: Muennighoff et al., arXiv 2305.16264, Eq. 5 and 6 with alpha = beta as they fit it; their
R_D* and R_N* are R_D and R_N here (15.39 and 5.31). U_N is the compute-optimal number of parameters
for U_D: M* = (B / A)^(1 / alpha). D / U_D - 1 is the number of repetitions, epochs less one.

Without repetition D' = D, so R_D is in no prediction and the fit is refused: `tied` is the law
then, which this one equals for runs with at least M* tokens per parameter. R_N shows only in runs
with fewer unique tokens than M* per parameter; M* is a result of the fit, so a design without them
is not refused but ill-conditioned, which the certificate says.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Mask, Parameter
from scalebed.laws.forms.formula import EXPONENTS, Formula, Scaling
from scalebed.laws.forms.jets import Jet
from scalebed.laws.forms.starts import axes, best, slopes, thinned

# Below the first a repetition is worth nothing, above the second as much as new tokens.
_DECAYS = (0.01, 1e4)


class Constrained(Formula):
    """Muennighoff's law; theta = (E, A, B, alpha, R_D, R_N), unique tokens as third input."""

    name: str = "constrained"
    inputs: tuple[str, ...] = ("params", "tokens", "unique_tokens")
    formula: str = (
        "L = E + A N'^-alpha + B D'^-alpha, D' = U_D (1 + R_D (1 - exp(-(D / U_D - 1) / R_D))), "
        "N' = U_N (1 + R_N (1 - exp(-(N / U_N - 1) / R_N)))"
    )
    source: str = "Muennighoff et al. 2023, arXiv 2305.16264, Eq. 5 and 6"
    parameters: tuple[Parameter, ...] = (
        Parameter("E", "nats", 0.0, np.inf, "irreducible loss"),
        Parameter("A", "nats params^alpha", 0.0, np.inf, "weight of the model-size term"),
        Parameter("B", "nats tokens^alpha", 0.0, np.inf, "weight of the data term"),
        Parameter("alpha", "1", *EXPONENTS, "exponent of N' and of D'"),
        Parameter("R_D", "repetitions", *_DECAYS, "repetitions until tokens are worth 1 / e"),
        Parameter("R_N", "1", *_DECAYS, "excess N / U_N - 1 until parameters are worth 1 / e"),
    )
    derived: tuple[Parameter, ...] = (
        Parameter("M_star", "tokens/param", 0.0, np.inf, "compute-optimal unique tokens per param"),
    )
    scalings: tuple[Scaling, ...] = (Scaling(1, ((0, 3),), True), Scaling(2, ((1, 3),), True))
    scaled: tuple[int, ...] = (0,)
    origins: tuple[tuple[int, ...], ...] = ((0,), (1, 2))

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        floor, size, data, alpha, worth_tokens, worth_params = theta
        params, tokens, unique = x
        used = np.minimum(tokens, unique)
        log_size, log_data = size.log(), data.log()
        # log U_N where it binds: U_D / M*.
        least = (log_size - log_data) * alpha.inverse() + np.log(used)
        log_params = _effective(np.log(params), least, worth_params)
        log_tokens = _effective(np.log(tokens), Jet(np.log(used), order=floor.order), worth_tokens)
        return floor + (log_size - alpha * log_params).exp() + (log_data - alpha * log_tokens).exp()

    def value(self, theta: Array, x: Inputs) -> Array:
        """Evaluate the formula; theta (..., p), inputs (n,) or (..., n), result (..., n)."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return super().value(theta, x)

    def derive(self, theta: Array) -> Array:
        """M*, shape (..., 1); 0 or infinite where B or A is 0."""
        _, size, data, alpha = (theta[..., i] for i in range(4))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.exp((np.log(data) - np.log(size)) / alpha)[..., None]

    def refusal(self, x: Inputs, y: Array) -> str | None:
        """Why these points cannot identify the law, or None."""
        reason = super().refusal(x, y)
        if reason is not None:
            return reason
        most = float(np.max(x[1] / x[2]))
        if most < 1 + 1e-6:
            return (
                f"no repetition: the most any run sees its data is {most:.3g} times, so R_D is in "
                "no prediction; fit the law tied"
            )
        return None

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Given alpha, R_D, R_N and M*, the law is linear in E and B."""
        x, y, weights = thinned(x, y, weights)
        centre = float(np.mean(np.log(np.minimum(x[1], x[2]) / x[0])))
        ratios = np.exp(centre + np.linspace(-5.0, 5.0, 9))
        decays = axes(np.array([0.5, 3.0, 15.0, 100.0]), np.array([0.5, 3.0, 15.0, 100.0]), ratios)
        powers = np.geomspace(0.03, 1.5, 14)
        outer = np.repeat(decays, powers.size, 0)
        alpha = np.tile(powers, len(decays))[:, None]
        # A / B = M*^-alpha; with B = 1 and E = 0 the value is the column of B.
        share = outer[:, 2:] ** -alpha
        one = np.ones_like(alpha)
        unit = np.concatenate([0 * one, share, one, alpha, outer[:, :2]], axis=1)
        found = slopes(self.value(unit, x)[..., None], y, weights, (0.0, np.inf))
        floor, data = found[:, :1], found[:, 1:]
        candidates = np.concatenate([floor, share * data, data, alpha, outer[:, :2]], axis=1)
        groups = np.repeat(np.arange(len(decays)), powers.size)
        return best(self.value, x, y, weights, candidates, groups)


def _effective(total: Array, first: Jet, worth: Jet) -> Jet:
    """Log of the effective amount: `total`, with what exceeds `first` at its worth.

    Parameters
    ----------
    total : array (n,)
        Log of the amount.
    first : Jet
        Log of the amount that counts in full.
    worth : Jet
        R.
    """
    ratio = total - first
    more = np.real(ratio.value) > 0
    excess = _where(more, ratio.exp() - 1.0, np.zeros_like(total))
    grown = (worth * (1.0 - (-excess * worth.inverse()).exp()) + 1.0).log() + first
    return _where(more, grown, total)


def _where(mask: Mask, jet: Jet, other: Array) -> Jet:
    return Jet(
        np.where(mask, jet.value, other),
        {i: np.where(mask, d, 0.0) for i, d in jet.first.items()},
        {ij: np.where(mask, d, 0.0) for ij, d in jet.second.items()},
        jet.order,
    )


LAW = Constrained()
