"""Coverage and width of every interval method on a study."""

from typing import Any

import altair as alt
import pandas as pd

from scalebed.report.figures.style import CATEGORIES, GRID, INK, Style, message
from scalebed.tables.reader import StudyDatabase

TITLE = "Do the intervals cover?"
CAPTION = (
    "Left: share of the runs inside the interval of each method, with one standard error; the line "
    "is the nominal level, the grey band three points to each side. Right: median full width, "
    "relative to the measured loss, or in error. Filled: the method may be used for this design; "
    "hollow: it may not. The default is marked with a star. Colours: by simulation from "
    "the fitted laws, on cells that were not fitted, and with the largest models left out."
)
OPTIONS: dict[str, Any] = {"simulation": True}
_BAND = 0.03
_QUERY = """
    SELECT response, kind, scheme, method, status, chosen, cells, coverage, coverage_error,
           width, winkler, level
    FROM calibration
    WHERE dataset = (SELECT CASE WHEN bool_or(dataset = 'all') THEN 'all' ELSE min(dataset) END
                     FROM calibration)
    ORDER BY kind DESC, response, scheme, method
"""


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return the chart, one row of two panels per response."""
    options = OPTIONS | dict(style.options)
    frame = study.frame(_QUERY)
    if not options["simulation"]:
        frame = frame[frame["scheme"] != "simulation"]
    if frame.empty:
        return message("No interval could be checked: no measured cell is left to predict.", TITLE)
    frame["usable"] = ~frame["status"].str.startswith("not valid")
    frame["method"] = frame["method"].where(~frame["chosen"], frame["method"] + " ★")
    frame["low"] = (frame["coverage"] - frame["coverage_error"]).clip(lower=0)
    frame["high"] = (frame["coverage"] + frame["coverage_error"]).clip(upper=1)
    rows = [_row(own, str(name), style) for name, own in frame.groupby("response", sort=False)]
    return alt.vconcat(*rows).properties(title=TITLE)


def _row(frame: pd.DataFrame, response: str, style: Style) -> alt.HConcatChart:
    level = float(frame["level"].iloc[0])
    band = pd.DataFrame({"low": [level - _BAND], "high": [min(level + _BAND, 1)], "at": [level]})
    base = alt.Chart(frame).encode(
        y=alt.Y("method:N", title=None, sort=None),
        yOffset=alt.YOffset("scheme:N"),
        color=alt.Color("scheme:N", scale=alt.Scale(range=list(CATEGORIES)), title="checked"),
    )
    filled = alt.condition("datum.usable", alt.value(1), alt.value(0))
    marks = base.mark_point(size=50, strokeWidth=1.6, filled=False).encode(
        fill=alt.Fill("scheme:N", scale=alt.Scale(range=list(CATEGORIES)), legend=None),
        fillOpacity=filled,
        tooltip=[
            *(alt.Tooltip(name) for name in ("method:N", "scheme:N", "status:N", "cells:Q")),
            *(alt.Tooltip(f"{name}:Q", format=".4f") for name in ("coverage", "width", "winkler")),
        ],
    )
    axis = alt.Axis(format="%")
    scale = alt.Scale(domain=[min(0.5, float(frame["low"].min())), 1.0])
    shade = alt.Chart(band).mark_rect(color=GRID).encode(x=alt.X("low:Q", scale=scale), x2="high:Q")
    line = alt.Chart(band).mark_rule(color=INK).encode(x=alt.X("at:Q", scale=scale))
    bars = base.mark_rule().encode(x=alt.X("low:Q", scale=scale), x2="high:Q")
    cover = marks.encode(x=alt.X("coverage:Q", scale=scale, axis=axis, title="covered"))
    loss = bool((frame["kind"] == "loss").all())
    title = "median width, of the loss" if loss else "median width, of the error rate"
    width = marks.encode(x=alt.X("width:Q", axis=axis, title=title))
    size = style.panel(2)
    left = alt.layer(shade, line, bars, cover).properties(title=response, **size)
    return alt.hconcat(left, width.properties(**size))
