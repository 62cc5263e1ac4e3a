"""The sections of a study file on fits: which cells, which laws, how, and what is predicted."""

from typing import Any

from scalebed.core.values import Besides, Drawn, Fitting, Pooling, Prior, Weights
from scalebed.study.sections import Name, Selector, Strict


class NormalPrior(Strict, Prior):  # type: ignore[misc]
    """What is known of a parameter beforehand."""


class FitOptions(Strict, Fitting):  # type: ignore[misc]
    """What is minimised when a law is fitted."""

    weights: Weights = "equal"
    """Whether points count the same, or by the variance of their measurement and of the scatter of
    runs together."""
    fixed: dict[str, float] = {}
    """Parameters that are given instead of fitted."""
    priors: dict[str, NormalPrior] = {}
    """Parameters of which something is known beforehand."""


class Pool(Strict, Pooling):  # type: ignore[misc]
    """One more fit of the loss law, over all data sets together."""

    parameters: list[str] = ["alpha"]


class Beside(Strict, Besides):  # type: ignore[misc]
    """One more fit of the same cells, reported beside the usual one and drawn by refits."""


class Fit(Strict):
    """Which cells the laws are fitted to and what is predicted."""

    loss: Name
    """Validation loss that enters the error law and the headline."""
    loss_law: str = "chinchilla"
    """Law of loss over parameters and tokens."""
    interval: Drawn = "auto"
    """How the loss law is drawn: by its `posterior` (law chinchilla, exponents softly tied) or a
    `bootstrap` of refits. `auto` takes the posterior where it can be had."""
    error_law: str = "decay"
    """Law of task error over loss."""
    loss_cells: list[Selector]
    """Cells the loss law is fitted to."""
    error_cells: list[Selector] | None = None
    """Cells the error law is fitted to; the ones of the loss law when left out."""
    targets: list[Selector] = []
    """Cells to predict; they may never be fitted to."""
    seal: bool = False
    """Whether the predictions are sealed before any target trains, and judged after; see
    docs/watch.md."""
    scatter_cells: list[Selector] | None = None
    """Cells from which the scatter of runs about the law is estimated; all but the targets when
    left out."""
    averages: dict[Name, list[str] | None] = {}
    """Further averages of tasks, each with an error law of its own; null stands for all tasks."""
    loss_options: FitOptions = FitOptions()
    """How the loss law is fitted."""
    error_options: FitOptions = FitOptions()
    """How the error laws are fitted."""
    beside: Beside | None = None
    """One more fit of the same cells, in tables `beside_*`."""
    pool: Pool | None = None
    """A fit over all data sets together, reported beside the separate ones; of the law of `beside`
    if there is one."""

    @property
    def softly_tied(self) -> bool:
        """Whether the loss law can be drawn by its posterior."""
        given = self.loss_options
        plain = given.objective == "sse" and not given.fixed and given.weights == "equal"
        return self.loss_law == "chinchilla" and plain and set(given.priors) <= {"alpha"}

    @property
    def drawn(self) -> str:
        """How the loss law is drawn: ``bootstrap`` or ``posterior``."""
        if self.interval != "auto":
            return self.interval
        return "posterior" if self.softly_tied else "bootstrap"


def options_json(options: FitOptions) -> dict[str, Any]:
    """Return fit options as `scalebed.fit.options.Options.from_json` reads them."""
    values = options.model_dump(exclude={"weights"})
    values["priors"] = {name: [p["mean"], p["sd"]] for name, p in values["priors"].items()}
    return values
