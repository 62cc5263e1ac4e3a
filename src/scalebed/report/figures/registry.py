"""Names of the figures in the order of the report; importing this module costs nothing."""

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from scalebed.core.errors import ScalebedError
from scalebed.study.figures import PLOTS

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from scalebed.report.figures.style import Style
    from scalebed.tables.reader import StudyDatabase


class Figure(Protocol):
    """What the module of a figure offers.

    Attributes
    ----------
    TITLE
        What is shown, in a few words.
    CAPTION
        How to read it; plain text.
    """

    __name__: str
    TITLE: str
    CAPTION: str

    def chart(
        self, study: "StudyDatabase", style: "Style", *explored: "pd.DataFrame"
    ) -> "alt.TopLevelMixin":
        """Return the chart; figures that show an exploration are given its table."""
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
    return cast(Figure, import_module(f"scalebed.report.figures.{name}"))
