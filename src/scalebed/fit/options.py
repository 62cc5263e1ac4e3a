"""What is minimised when a law is fitted: objective, fixed parameters and priors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, get_args

from scalebed.core.declared import check_limits, read_dataclass
from scalebed.core.errors import ScalebedError
from scalebed.core.values import Fitting, ObjectiveName, Prior
from scalebed.laws.forms.base import Array, Law, names

OBJECTIVES: Final = get_args(ObjectiveName)


@dataclass(frozen=True)
class Options(Fitting):
    """How a law is fitted.

    ``sse`` is half the sum of squared residuals, the paper's; ``log_sse`` the same of the
    logarithms; ``huber_log`` Huber's loss of the residuals of the logarithms (Hoffmann et al.,
    arXiv 2203.15556, Eq. 3). Priors are normal, with their mean and sd, and are weighed against
    points that scatter by `scatter`; without priors it has no effect. None stands for what the
    residuals show, see `scalebed.fit.result.fit_law`; the options of a finished fit say how much
    that was.
    """

    fixed: Mapping[str, float] = field(default_factory=dict)
    """Parameters that are given instead of fitted."""
    priors: Mapping[str, Prior] = field(default_factory=dict)
    """Parameters of which something is known beforehand."""

    def __post_init__(self) -> None:
        """Check what does not depend on the law."""
        if self.objective not in OBJECTIVES:
            raise ScalebedError(
                f"objective {self.objective!r} is unknown, expected one of {', '.join(OBJECTIVES)}"
            )
        check_limits(self, "", ScalebedError)
        for name, prior in self.priors.items():
            if not (math.isfinite(prior.mean) and math.isfinite(prior.sd) and prior.sd > 0):
                raise ScalebedError(f"prior of {name} is {prior}, expected an sd above 0")
        if both := sorted(set(self.fixed) & set(self.priors)):
            raise ScalebedError(f"parameter {both[0]} is fixed and has a prior, expected one")
        object.__setattr__(self, "fixed", MappingProxyType(dict(self.fixed)))
        object.__setattr__(self, "priors", MappingProxyType(dict(self.priors)))

    @property
    def open(self) -> bool:
        """Whether there are priors and the scatter to weigh them against is still to be found."""
        return bool(self.priors) and self.scatter is None

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
        return read_dataclass(cls, values, "options of a fit: ")
