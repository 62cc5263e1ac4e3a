"""Names of the figures in the order of the report; importing this module costs nothing."""

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

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
    if name not in FIGURES:
        raise ScalebedError(f"no figure is called {name!r}; there is {', '.join(FIGURES)}")
    return cast(Figure, import_module(f"scalebed.figures.{name}"))
