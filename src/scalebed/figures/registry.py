"""Names of the figures in the order of the report; importing this module costs nothing."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from scalebed.errors import ScalebedError

if TYPE_CHECKING:
    import altair as alt

    from scalebed.figures.style import Style
    from scalebed.store.reader import StudyDatabase

FIGURES = (
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


def usual_figures(names: tuple[str, ...] = FIGURES) -> dict[str, dict[str, Any]]:
    """Return figures as a report takes them: what is drawn under each name, title, options."""
    return {name: {"plot": name, "title": None, "options": {}} for name in names}


class Figure(Protocol):
    """What the module of a figure offers.

    Attributes
    ----------
    TITLE
        What is shown, in a few words.
    CAPTION
        How to read it; plain text.
    """

    TITLE: str
    CAPTION: str

    def chart(self, study: "StudyDatabase", style: "Style") -> "alt.TopLevelMixin":
        """Return the chart."""
        ...


def get_figure(name: str) -> Figure:
    """Return the module of a figure.

    Raises
    ------
    ScalebedError
        If no figure has that name.
    """
    if name not in PLOTS:
        raise ScalebedError(f"no figure is called {name!r}; there is {', '.join(PLOTS)}")
    return cast(Figure, import_module(f"scalebed.figures.{name}"))
