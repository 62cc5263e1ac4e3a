"""What repeated tokens are worth in a decision: drawn with the law, or taken from a publication."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from scalebed.core.quantities import amount_text, between
from scalebed.decide.curve import Curve
from scalebed.decide.surface import WORTH
from scalebed.laws.forms.base import names

_NAME = "R_D"


class Repetition(NamedTuple):
    """R_D, the repetitions until tokens are worth 1 / e.

    Attributes
    ----------
    value : float
        Median of the draws of the law, or the published value.
    interval : (float, float) or None
        Of the draws.
    borrowed : bool
        Whether it is the published one, of which nothing says how uncertain it is.
    """

    value: float
    interval: tuple[float, float] | None
    borrowed: bool

    @property
    def words(self) -> str:
        """One sentence."""
        if self.borrowed:
            return (
                f"What repeated tokens are worth is not in these runs: {_NAME} {WORTH:g} of "
                "Muennighoff et al. (arXiv 2305.16264) is taken, and nothing of how uncertain it "
                "is."
            )
        drawn = ", drawn with the law" if self.interval else ""
        return f"Repeated tokens are worth {_NAME} {between(self.value, self.interval)}{drawn}."

    def record(self) -> dict[str, Any]:
        """Return it as built-in values."""
        return self._asdict()


def repetition_of(curve: Curve, unique_tokens: float | None) -> Repetition | None:
    """Return what repetitions are worth; None where the tokens have no end."""
    if unique_tokens is None:
        return None
    known = names(curve.law.parameters)
    if _NAME not in known:
        return Repetition(WORTH, None, borrowed=True)
    drawn = curve.theta[:, known.index(_NAME)]
    return Repetition(float(np.median(drawn)), curve.interval(drawn), borrowed=False)


def as_if_new(curve: Curve, tokens: float, unique_tokens: float | None) -> str | None:
    """Say that a prediction takes repeated tokens for new ones, None where it does not."""
    if unique_tokens is None or unique_tokens >= tokens or "unique_tokens" in curve.law.inputs:
        return None
    return (
        f"law {curve.law.name} knows no repetitions, so this is predicted as if all "
        f"{amount_text(tokens)} tokens were new ones: the loss will be higher (--law constrained "
        "knows them, of runs that repeat data)"
    )
