"""Names of the figures a study file may ask for, in the order of the report."""

from collections.abc import Mapping
from typing import Any

FIGURES = (
    "decisions",
    "predicted_vs_measured",
    "loss_vs_compute",
    "error_vs_loss",
    "relative_error",
    "training_curves",
)
"""The figures of every study, in the order of the report."""


SEARCH_FIGURES = ("search_funnel",)
"""The figures of every search."""


PLOTS = (
    *FIGURES,
    "reducible_loss",
    "errors_by_validation",
    "exponent_by_ratio",
    "task_panels",
    "search_funnel",
    "inclusion_threshold",
    "subset_designs",
    "calibration",
    "tournament",
)
"""All figures; a study file asks for the further ones by name."""


def check_plots(figures: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that the figures a study asks for exist.

    Raises
    ------
    ValueError
        Naming the key, the value and what was expected.
    """
    for name, spec in figures.items():
        if (plot := spec.get("plot", name)) not in PLOTS:
            known = ", ".join(PLOTS)
            raise ValueError(f"figures.{name}: no figure is called {plot!r}; there is {known}")


def usual_figures(names: tuple[str, ...] = FIGURES) -> dict[str, dict[str, Any]]:
    """Return figures as a report takes them: what is drawn under each name, title, options."""
    return {name: {"plot": name, "title": None, "options": {}} for name in names}
