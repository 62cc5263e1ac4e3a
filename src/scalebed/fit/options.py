"""What is minimised when a law is fitted: objective, fixed parameters and priors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array, Law, names

OBJECTIVES: Final = ("sse", "log_sse", "huber_log")


@dataclass(frozen=True)
class Prior:
    """A normal prior on one parameter, in the units of the law."""

    mean: float
    sd: float


@dataclass(frozen=True)
class Options:
    """How a law is fitted.

    Attributes
    ----------
    objective : {"sse", "log_sse", "huber_log"}
        ``sse``: half the sum of squared residuals, the paper's; ``log_sse``: the same of the
        logarithms; ``huber_log``: Huber's loss of the residuals of the logarithms (Hoffmann et
        al., arXiv 2203.15556, Eq. 3).
    delta : float
        Where Huber's loss turns from a parabola into a straight line.
    fixed : mapping of str to float
        Parameters that are given instead of fitted.
    priors : mapping of str to Prior
        A parameter one `Prior.sd` off its mean costs as much as one residual of size `scatter`.
    scatter : float
        Expected scatter of runs about the law, relative to the response; only priors depend on it.
    """

    objective: str = "sse"
    delta: float = 1e-3
    fixed: Mapping[str, float] = field(default_factory=dict)
    priors: Mapping[str, Prior] = field(default_factory=dict)
    scatter: float = 0.01

    def __post_init__(self) -> None:
        """Check what does not depend on the law."""
        if self.objective not in OBJECTIVES:
            raise ScalebedError(
                f"objective {self.objective!r} is unknown, expected one of {', '.join(OBJECTIVES)}"
            )
        for key in ("delta", "scatter"):
            value = getattr(self, key)
            if not (math.isfinite(value) and value > 0):
                raise ScalebedError(f"{key} is {value}, expected a number above 0")
        for name, prior in self.priors.items():
            if not (math.isfinite(prior.mean) and math.isfinite(prior.sd) and prior.sd > 0):
                raise ScalebedError(f"prior of {name} is {prior}, expected an sd above 0")
        if both := sorted(set(self.fixed) & set(self.priors)):
            raise ScalebedError(f"parameter {both[0]} is fixed and has a prior, expected one")
        object.__setattr__(self, "fixed", MappingProxyType(dict(self.fixed)))
        object.__setattr__(self, "priors", MappingProxyType(dict(self.priors)))

    @property
    def plain(self) -> bool:
        """Whether this is ordinary least squares of all parameters."""
        return self.objective == "sse" and not self.fixed and not self.priors

    def check(self, law: Law) -> None:
        """Check the names and values against a law.

        Raises
        ------
        ScalebedError
            If a fixed parameter or a prior is not of the law, or out of its bounds.
        """
        known = {parameter.name: parameter for parameter in law.parameters}
        for name in (*self.fixed, *self.priors):
            if name not in known:
                raise ScalebedError(
                    f"law {law.name} has no parameter {name!r}, expected one of "
                    f"{', '.join(names(law.parameters))}"
                )
        for name, value in self.fixed.items():
            low, high = known[name].lower, known[name].upper
            if not low <= value <= high or not math.isfinite(value):
                raise ScalebedError(
                    f"parameter {name} of law {law.name} is fixed at {value}, "
                    f"expected {low:g} .. {high:g}"
                )

    def pin(self, law: Law, theta: Array) -> Array:
        """Set the parameters that are given to their very values, free of rounding; (..., p)."""
        if self.fixed:
            theta = theta.copy()
            for j, parameter in enumerate(law.parameters):
                if parameter.name in self.fixed:
                    theta[..., j] = self.fixed[parameter.name]
        return theta

    def to_json(self) -> dict[str, Any]:
        """Plain values for records and parameters of rules."""
        return {
            "objective": self.objective,
            "delta": self.delta,
            "fixed": dict(self.fixed),
            "priors": {name: [prior.mean, prior.sd] for name, prior in self.priors.items()},
            "scatter": self.scatter,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Options:
        """Read what `to_json` wrote; missing keys have their defaults."""
        priors = {name: Prior(*pair) for name, pair in values.get("priors", {}).items()}
        return cls(**{**values, "priors": priors})
