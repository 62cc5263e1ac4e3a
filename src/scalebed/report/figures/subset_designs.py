"""Relative error at a target against the compute of random fit designs."""

import altair as alt
import pandas as pd

from scalebed.checks.explore import options as explorations
from scalebed.report.figures.style import SEQUENCE, Style, log_axis, message
from scalebed.tables.reader import StudyDatabase

TITLE = "Random designs of the fit"
CAPTION = (
    "Each point is a random choice of fit cells from the cheapest n cells that are no targets; "
    "its compute and the relative error of its prediction of the target. The diamond is the "
    "study's own design. The heading counts designs that predict better than it, also among "
    "designs with as many cells as its loss law; designs the law refuses are left out. How many "
    "designs are drawn and their seed are options, the seed is no source's."
)
EXPLORED = explorations.OPTIONS["subset_designs"]
OPTIONS = EXPLORED | {"kinds": "loss,error"}
_SMALLEST_ERROR = 0.01


def chart(study: StudyDatabase, style: Style, explored: pd.DataFrame) -> alt.TopLevelMixin:
    """Return the chart, one panel for each data set and kind."""
    kinds = (OPTIONS | dict(style.options))["kinds"].split(",")
    panels = [
        _panel(own[own["kind"] == kind], _cells_of(own))
        for _, own in explored.groupby("dataset")
        for kind in ("loss", "error")
        if kind in kinds and (own["kind"] == kind).any()
    ]
    if not panels:
        return message("No measured target of a data set with enough cells that are none.", TITLE)
    return _draw(pd.concat(panels, ignore_index=True), style)


def _cells_of(own: pd.DataFrame) -> int:
    """Return how many cells the study's loss law is fitted to."""
    return int(own.loc[(own["what"] == "study") & (own["kind"] == "loss"), "points"].iloc[0])


def _panel(own: pd.DataFrame, cells: int) -> pd.DataFrame:
    """Return the windows' designs and the study's own, with the rank in the heading."""
    error = (own["predicted"] / own["measured"] - 1).abs()
    best = float(error[own["what"] == "study"].iloc[0])
    ranks = [
        f"{100 * (error[own['what'] == what] < best).mean():.0f} %"
        for what in ("random", "same number")
    ]
    first = own.iloc[0]
    heading = (
        f"{first['dataset']} {first['size']} M={first['M']:g}, {first['kind']}: {ranks[0]} better "
        f"({ranks[1]} of {cells} cells), {first['refused']} refused"
    )
    # A logarithm needs a floor; what is below it is as good as exact.
    frame = own.assign(error=(100 * error).clip(lower=_SMALLEST_ERROR), panel=heading)
    shown = ["flops", "points", "error", "predicted", "what", "panel"]
    return frame.loc[own["what"] != "same number", shown]


def _draw(frame: pd.DataFrame, style: Style) -> alt.TopLevelMixin:
    base = alt.Chart().encode(
        x=alt.X("flops:Q", **log_axis(list(frame["flops"]), "compute of the design (FLOPs)")),
        y=alt.Y("error:Q", **log_axis(list(frame["error"]), "relative error at the target (%)")),
        tooltip=[
            alt.Tooltip("points:Q", title="cells"),
            alt.Tooltip("flops:Q", format=".3e"),
            *(alt.Tooltip(f"{name}:Q", format=".4f") for name in ("predicted", "error")),
        ],
    )
    random = (
        base.transform_filter("datum.what == 'random'")
        .mark_point(filled=True, size=22, opacity=0.75)
        .encode(color=alt.Color("points:Q", scale=alt.Scale(scheme=SEQUENCE), title="cells"))
    )
    own = base.transform_filter("datum.what == 'study'").mark_point(
        filled=True, shape="diamond", size=150, color="#D55E00", stroke="white", opacity=1
    )
    order = list(dict.fromkeys(frame["panel"]))
    columns = min(2, len(order))
    header = alt.Header(labelFontSize=10, labelLimit=480)
    return (
        alt.layer(random, own, data=frame)
        .properties(**style.panel(columns, 0.7))
        .facet(facet=alt.Facet("panel:N", title=None, sort=order, header=header), columns=columns)
        .properties(title=TITLE)
    )
