"""Which law extrapolates best: mean error of every law over several extrapolations."""

from typing import Any

import altair as alt
import duckdb
import pandas as pd

from scalebed.core.errors import ScalebedError
from scalebed.report.figures.style import CATEGORIES, MUTED, Style, message
from scalebed.tables.reader import StudyDatabase

TITLE = "Which law extrapolates best"
CAPTION = (
    "Mean absolute error of the laws on runs they were not fitted to, one panel an extrapolation; "
    "grey ticks are the root mean square residual at the fitted runs, which does not tell the laws "
    "apart. Filled marks are the best of their panel and those not established to be worse (90 % "
    "cluster bootstrap over designs, widened for few designs). Laws that were refused for a data "
    "set are left out."
)
OPTIONS: dict[str, Any] = {"kind": "loss", "response": "", "splits": "", "most": 25.0}
_QUERY = """
SELECT split, label, law, objective, route, error, in_sample, unit, standing, cells, clusters, own,
       difference, lower, upper
FROM tournament
WHERE kind = $kind AND response = $response AND scope = 'response' AND standing != 'refused'
"""
_EVEN, _WORSE = "best or as good", "worse"


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return the chart; `splits` is a list with semicolons, '' stands for all single splits.

    `response` is the study's validation loss or task average by default; errors above `most` are
    drawn at the edge.
    """
    options = OPTIONS | dict(style.options)
    kind = options["kind"]
    if kind not in ("loss", "error"):
        raise ScalebedError(f"figure tournament: kind is {kind!r}, expected loss or error")
    response = options["response"] or (study.yardstick if kind == "loss" else "average")
    try:
        frame = study.frame(_QUERY, {"kind": kind, "response": response})
    except duckdb.CatalogException:
        frame = pd.DataFrame()
    if frame.empty:
        return message(f"No tournament of {response} in this study: run scalebed compare.", TITLE)
    wanted = [name.strip() for name in options["splits"].split(";") if name.strip()]
    known = list(dict.fromkeys(frame["split"]))
    for name in wanted:
        if name not in known:
            raise ScalebedError(
                f"figure tournament: no split is called {name!r}; there is {'; '.join(known)}"
            )
    single = [name for name in known if not name.startswith("mean")]
    frame = frame[frame["split"].isin(wanted or single)]
    return _draw(frame, wanted or single, float(options["most"]), style)


def _draw(frame: pd.DataFrame, splits: list[str], most: float, style: Style) -> alt.TopLevelMixin:
    losses = (frame["route"] == "loss").all()
    named = frame["law"] + (" (" + frame["objective"] + ")" if losses else "")
    frame = frame.assign(
        entry=named.where(~frame["own"], named + " = study"),
        shown=frame["error"].clip(upper=most),
        fit=frame["in_sample"].clip(upper=most),
        group=frame["standing"].map(lambda found: _WORSE if found == _WORSE else _EVEN),
    )
    unit = "%" if (frame["unit"] == "%").all() else "points"
    order = list(frame.groupby("entry")["shown"].mean().sort_values().index)
    panels = [_panel(frame[frame["split"] == name], order, unit, style) for name in splits]
    chart: alt.TopLevelMixin = alt.concat(*panels, columns=2).properties(title=TITLE)
    return chart


def _panel(frame: pd.DataFrame, order: list[str], unit: str, style: Style) -> Any:
    base = alt.Chart(frame).encode(y=alt.Y("entry:N", sort=order, title=None))
    shown = [name for name in order if name in set(frame["entry"])]
    ticks = base.mark_tick(color=MUTED, thickness=1.5).encode(x="fit:Q")
    marks = base.mark_point(size=45, strokeWidth=1.5).encode(
        x=alt.X("shown:Q", title=f"mean absolute error ({unit})", scale=alt.Scale(zero=True)),
        color=alt.value(CATEGORIES[0]),
        fill=alt.Fill(
            "group:N",
            scale=alt.Scale(domain=[_EVEN, _WORSE], range=[CATEGORIES[0], "white"]),
            title="standing",
        ),
        tooltip=[
            *(alt.Tooltip(name) for name in ("entry:N", "standing:N", "cells:Q", "clusters:Q")),
            *(
                alt.Tooltip(f"{name}:Q", format=".3f")
                for name in ("error", "in_sample", "difference", "lower", "upper")
            ),
        ],
    )
    size = style.panel(2)
    height = style.height or 15 * len(shown) + 10
    first = frame.iloc[0]
    return alt.layer(ticks, marks).properties(
        width=min(size["width"], 300),
        height=height,
        title=alt.Title(
            first["split"], subtitle=f"{first['label']} ({first['cells']} predictions)", fontSize=13
        ),
    )
