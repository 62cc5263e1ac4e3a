"""Loss over N and D in every draw of a law, where data are repeated too, and its inverse in D."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Law

WORTH: Final = 15.39
"""R_D of Muennighoff et al., arXiv 2305.16264: repetitions until tokens are worth 1 / e."""

LOG_MOST: Final = 40.0
"""Natural logarithm of the most tokens that are looked for."""


def inputs_for(law: Law, params: Array, tokens: Array, unique_tokens: Array) -> Inputs:
    """Return the inputs of a loss law for runs, each of the shape of N, D and U."""
    columns = {"params": params, "tokens": tokens, "unique_tokens": unique_tokens}
    columns["flops"] = 6 * params * tokens
    return tuple(columns[name] for name in law.inputs)


@dataclass(frozen=True)
class Surface:
    """L(N, D) in every draw.

    Attributes
    ----------
    law : Law
    theta : array (draws, p)
    unique_tokens : float, optional
        Tokens there are; more of them are repetitions. A law that knows repetitions has a place for
        them, others take D' = U (1 + R_D (1 - exp(-(D / U - 1) / R_D))) for D with R_D `WORTH`
        (Muennighoff et al., arXiv 2305.16264, Eq. 5).
    """

    law: Law
    theta: Array
    unique_tokens: float | None = None

    @property
    def borrowed(self) -> bool:
        """Whether what repetitions are worth is taken from a publication."""
        return self.unique_tokens is not None and "unique_tokens" not in self.law.inputs

    @property
    def free(self) -> bool:
        """Whether tokens are never repeated."""
        return self.unique_tokens is None

    def take(self, rows: Array | slice) -> Surface:
        """Return some of the draws."""
        return Surface(self.law, self.theta[rows], self.unique_tokens)

    def loss(self, params: Array, tokens: Array) -> Array:
        """Loss of runs, (draws, n); N and D (n,) or (draws, n)."""
        params, tokens = np.broadcast_arrays(params, tokens)
        seen, unique = tokens, tokens
        if self.unique_tokens is not None:
            unique = np.minimum(tokens, self.unique_tokens)
            if self.borrowed:
                again = (tokens - unique) / unique
                seen = unique * (1 - WORTH * np.expm1(-again / WORTH))
        x = inputs_for(self.law, params, seen, unique)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return self.law.value(self.theta, x)

    def tokens_for(self, params: Array, loss: Array) -> Array:
        """Tokens D at which models of N parameters reach a loss; infinite where none do.

        D' = (B / (L - E - A N^-alpha))^(1 / beta) for laws of that form, else by bisection.

        Parameters
        ----------
        params : array (draws, n)
        loss : array (draws, 1)

        Returns
        -------
        array (draws, n)
        """
        if self.law.name not in ("tied", "chinchilla"):
            return self._bisected(params, loss)
        names = [parameter.name for parameter in self.law.parameters]
        column = {name: self.theta[:, i, None] for i, name in enumerate(names)}
        alpha = column["alpha"]
        left = loss - column["E"] - column["A"] * params**-alpha
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            tokens = (column["B"] / left) ** (1 / column.get("beta", alpha))
        return self._repeated(np.where(left > 0, tokens, np.inf))

    def _repeated(self, worth: Array) -> Array:
        """Tokens that are worth so many that are seen once: the inverse of D'(D)."""
        unique = self.unique_tokens
        if unique is None:
            return worth
        excess = np.maximum(worth / unique - 1, 0.0) / WORTH
        with np.errstate(divide="ignore", invalid="ignore"):
            passes = 1 - WORTH * np.log1p(-excess)
        return np.where(excess < 1, np.minimum(worth, unique) * passes, np.inf)

    def _bisected(self, params: Array, loss: Array) -> Array:
        low, high = np.zeros(params.shape), np.full(params.shape, LOG_MOST)
        never = ~(self.loss(params, np.exp(high)) <= loss)
        for _ in range(48):
            middle = (low + high) / 2
            above = self.loss(params, np.exp(middle)) > loss
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return np.where(never, np.inf, np.exp(high))
