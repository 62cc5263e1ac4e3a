"""Error of the predicted average as a function of which tasks the average takes in."""

import altair as alt
import pandas as pd

from scalebed.checks.explore import options as explorations
from scalebed.report.figures.style import CATEGORIES, INK, Style, message
from scalebed.tables.reader import StudyDatabase

TITLE = "Which tasks the average takes in"
CAPTION = (
    "A task counts if some model of the reference size beats chance by more than the threshold. "
    "For every threshold the error law is fitted anew to the same cells and predicts the largest "
    "target from its predicted loss. Solid lines keep the law's bound eps <= 1; dashed lines do "
    "without it, as published fits did. The bound binds when only easy tasks are left."
)
EXPLORED = explorations.OPTIONS["inclusion_threshold"]
OPTIONS = EXPLORED
_CAPPED, _FREE = "eps ≤ 1", "without bound"


def chart(study: StudyDatabase, style: Style, explored: pd.DataFrame) -> alt.TopLevelMixin:
    """Return the chart."""
    if explored.empty:
        return message("No target with task errors, fit cells and a reference size.", TITLE)
    return _draw(explored, style)


def _draw(frame: pd.DataFrame, style: Style) -> alt.TopLevelMixin:
    base = alt.Chart(frame).encode(
        y=alt.Y("error:Q", title="relative error of the mean task error (%)"),
        color=alt.Color("dataset:N", scale=alt.Scale(range=list(CATEGORIES)), title="data set"),
        strokeDash=alt.StrokeDash(
            "law:N",
            scale=alt.Scale(domain=[_CAPPED, _FREE], range=[[1, 0], [4, 3]]),
            title="error law",
            legend=alt.Legend(symbolType="stroke", symbolSize=400, symbolStrokeColor=INK),
        ),
        tooltip=[
            *(alt.Tooltip(name) for name in ("dataset:N", "law:N", "threshold:Q", "kept:Q")),
            *(
                alt.Tooltip(f"{name}:Q", format=".4f")
                for name in ("predicted", "measured", "error")
            ),
        ],
    )
    size = style.panel(2)
    left = base.mark_line(interpolate="step-after").encode(
        x=alt.X("threshold:Q", title="threshold t (points above chance)")
    )
    right = base.mark_line().encode(x=alt.X("excluded:Q", title="tasks left out"))
    return alt.hconcat(left.properties(**size), right.properties(**size)).properties(title=TITLE)
