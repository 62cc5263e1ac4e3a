"""What decides which interval methods may be used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalebed.predict.scatter import OWN_DOF


@dataclass(frozen=True)
class Design:
    """What decides which methods may be used.

    Attributes
    ----------
    points, parameters : int
    distinct : int, optional
        Different points among them.
    clusters : int, optional
        Runs that the points come from; as many as points where each is a run of its own.
    sizes : int
        Model sizes among the points.
    others : int
        Other data sets with runs the same design was not fitted to.
    others_dof : float
        Degrees of freedom of their errors.
    scores : int
        Such runs.
    level : float
    beyond : bool
        Whether a target is less certain than every run of the other data sets that was not fitted.
    evaluation : bool
        Whether the sampling errors of the measurements are known.
    own_dof : int
        From how many degrees of freedom on the fit's own residuals are used.
    told : bool
        Whether the scatter knows what points of one run share.
    """

    points: int
    parameters: int
    distinct: int | None = None
    clusters: int | None = None
    sizes: int = 0
    others: int = 0
    others_dof: float = 0.0
    scores: int = 0
    level: float = 0.9
    beyond: bool = False
    evaluation: bool = False
    own_dof: int = OWN_DOF
    told: bool = False

    @property
    def dof(self) -> int:
        """Points minus parameters."""
        return self.points - self.parameters

    @property
    def clustered(self) -> bool:
        """Whether several points come from one run."""
        return self.clusters is not None and self.clusters < self.points

    @property
    def different(self) -> int:
        """Different points; all of them unless it was said how many."""
        return self.points if self.distinct is None else self.distinct

    @property
    def needed(self) -> int:
        """Errors needed for the level: a quantile cannot lie beyond the largest of them."""
        return int(np.ceil(self.level / (1 - self.level) - 1e-9))


def not_enough(design: Design, least: int, what: str) -> str | None:
    """Refusal of designs with fewer degrees of freedom than `least`."""
    if design.clustered:
        return "not valid: points of one run are not independent; use the cluster bootstrap"
    if design.dof < least:
        return f"not valid: {what} needs {least} degrees of freedom, the fit leaves {design.dof}"
    return None
