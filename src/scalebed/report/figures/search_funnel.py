"""A hyper-parameter search: all configurations, its frontier, what was kept and a power law."""

import altair as alt
import pandas as pd

from scalebed.checks.explore import options as explorations
from scalebed.report.figures.style import SEQUENCE, Style, log_axis, message
from scalebed.tables.reader import StudyDatabase

TITLE = "Search for configurations"
CAPTION = (
    "Validation loss of the search against compute. From left to right: every configuration; "
    "those no cheaper one beats; those kept, with the power law L = E + s C^-eta fitted to them "
    "and 90 % of a bootstrap over them. Diamonds are the configurations the study uses."
)
EXPLORED = explorations.OPTIONS["search_funnel"]
OPTIONS = EXPLORED | {"color": "params", "panels": "search,frontier,kept"}
# Texts that are missing in every row would become numbers that are none, which JSON cannot say.
_RUNS = """
SELECT configuration, params, tokens, steps, batch_sequences, warmup, lr, flops, loss,
       frontier, kept, chosen
FROM search WHERE loss IS NOT NULL ORDER BY flops, configuration
"""
_TITLES = {
    "search": "search",
    "frontier": "frontier",
    "kept": "kept, with power law",
}
_COLORS = {"params": "parameters N", "steps": "optimiser steps"}


def chart(study: StudyDatabase, style: Style, explored: pd.DataFrame) -> alt.TopLevelMixin:
    """Return the chart.

    `panels` is a list with commas out of search, frontier and kept.
    """
    options = OPTIONS | dict(style.options)
    if not study.rows("SELECT 1 FROM information_schema.tables WHERE table_name = 'search'"):
        return message("This database has no table of a search.", TITLE)
    search = study.frame(_RUNS)
    if options["max_loss"]:
        search = search[search["loss"] <= options["max_loss"]]
    if search.empty:
        return message("This study searched no configurations.", TITLE)
    names = [name for name in _TITLES if name in options["panels"].split(",")]
    panels = [
        search[search["frontier"] | (name == "search")].assign(panel=_TITLES[name])
        if name != "kept"
        else search[search["kept"]].assign(panel=_TITLES[name])
        for name in names
    ]
    frame = pd.concat([panel.assign(what="run") for panel in panels], ignore_index=True)
    if "kept" in names and len(explored):
        # Without a band its columns go: a column of nothing would still be drawn.
        curve = explored.dropna(axis="columns", how="all")
        curve = curve.assign(what="law", panel=_TITLES["kept"])
        frame = pd.concat([frame, curve], ignore_index=True)
    return _draw(frame, options["color"], names, style)


def _finite(frame: pd.DataFrame, names: tuple[str, ...]) -> list[float]:
    found = [frame[name].dropna() for name in names if name in frame]
    return [float(value) for column in found for value in column if value > 0]


def _draw(frame: pd.DataFrame, colored: str, names: list[str], style: Style) -> alt.TopLevelMixin:
    runs = frame[frame["what"] == "run"]
    field = colored if colored in _COLORS else "params"
    ends = list(runs[field].quantile([0.0, 1.0]))
    color = alt.Color(
        f"{field}:Q",
        scale=alt.Scale(type="log", scheme=SEQUENCE, domain=ends, nice=False),
        legend=alt.Legend(format="~s", tickCount=4),
        title=_COLORS[field],
    )
    label = "loss of the search (nats/token)"
    along = log_axis([*runs["loss"], *_finite(frame, ("fit", "low"))], label)
    x = alt.X("flops:Q", **log_axis(list(frame["flops"]), "training compute C = 6ND (FLOPs)"))
    base = alt.Chart().encode(x=x)
    band = (
        base.transform_filter("isValid(datum.low)")
        .mark_area(color="#9aa5b1", opacity=0.45, clip=True)
        .encode(y=alt.Y("low:Q", **along), y2="high:Q")
    )
    law = base.transform_filter("datum.what == 'law'").mark_line(color="#1f2933", strokeWidth=1.4)
    tooltip = [
        alt.Tooltip("configuration:N"),
        *(alt.Tooltip(f"{name}:Q", format=",d") for name in ("params", "tokens", "steps")),
        *(alt.Tooltip(f"{name}:Q") for name in ("batch_sequences", "warmup", "lr")),
        alt.Tooltip("flops:Q", title="C", format=".3e"),
        alt.Tooltip("loss:Q", format=".4f"),
    ]
    cells = (
        base.transform_filter("datum.what == 'run'")
        .mark_point(filled=True, size=26, opacity=0.9)
        .encode(y=alt.Y("loss:Q", **along), color=color, tooltip=tooltip)
    )
    chosen = (
        base.transform_filter("datum.chosen === true")
        .mark_point(shape="diamond", size=130, color="#D55E00", strokeWidth=2)
        .encode(y=alt.Y("loss:Q", **along))
    )
    # Without a law there is no band, and a layer must not ask for a column that is not there.
    fitted = [band, law.encode(y=alt.Y("fit:Q", **along))] if "low" in frame else []
    order = [_TITLES[name] for name in names]
    return (
        alt.layer(*fitted, cells, chosen, data=frame)
        .properties(**style.panel(len(names)))
        .facet(facet=alt.Facet("panel:N", title=None, sort=order), columns=3)
        .properties(title=TITLE)
    )
