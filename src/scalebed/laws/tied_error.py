"""The tied law on the error itself: no loss between run and error.

    Err(N, D) = E + A N^-alpha + B D^-alpha,  limited to [0, 1]

The form of Gadre et al., arXiv 2403.08540, Eq. 3, fitted to errors.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Parameter
from scalebed.laws.forms.formula import common_refusal
from scalebed.laws.tied import Tied


class TiedError(Tied):
    """E + A N^-alpha + B D^-alpha within [0, 1]; theta = (E, A, B, alpha)."""

    name: str = "tied_error"
    kind: str = "direct"
    formula: str = "Err = E + A N^-alpha + B D^-alpha"
    source: str = "form of Gadre et al. 2024, arXiv 2403.08540, Eq. 3, on the error"
    parameters: tuple[Parameter, ...] = (
        Parameter("E", "error", 0.0, 1.0, "irreducible error"),
        Parameter("A", "error params^alpha", 0.0, np.inf, "weight of the model-size term"),
        Parameter("B", "error tokens^alpha", 0.0, np.inf, "weight of the data term"),
        Tied.parameters[3],
    )
    derived: tuple[Parameter, ...] = (
        Tied.derived[0],
        Parameter("a", "error FLOP^eta", 0.0, np.inf, "A 6^eta"),
        Parameter("b", "error FLOP^eta", 0.0, np.inf, "B 6^eta"),
        Tied.derived[3],
    )

    def refusal(self, x: Inputs, y: Array) -> str | None:
        """Why these points cannot identify the law, or None."""
        return common_refusal(self, x, y)


LAW = TiedError()
