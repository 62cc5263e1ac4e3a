"""A hyper-parameter search: all configurations, its frontier, what was kept and a power law."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from scalebed.checks.explore.constant_ratio import fit_ray
from scalebed.report.figures.style import SEQUENCE, Style, log_axis, message
from scalebed.tables.reader import StudyDatabase

TITLE = "Search for configurations"
CAPTION = (
    "Validation loss of the search against compute. From left to right: every configuration; "
    "those no cheaper one beats; those kept, with the power law L = E + s C^-eta fitted to them "
    "and 90 % of a bootstrap over them. Diamonds are the configurations the study uses."
)
OPTIONS: dict[str, Any] = {
    "color": "params",
    "panels": "search,frontier,kept",
    "draws": 500,
    "seed": 0,
    "max_loss": 0.0,
    "reach": 0.0,
}
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
_CURVE_POINTS = 60
_COLORS = {"params": "parameters N", "steps": "optimiser steps"}


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return the chart.

    `panels` is a list with commas out of search, frontier and kept; `reach` the compute up to
    which the power law is drawn.
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
    if "kept" in names and search["kept"].sum() > 3:
        curve = _band(search[search["kept"]], options)
        frame = pd.concat([frame, curve.assign(panel=_TITLES["kept"])], ignore_index=True)
    return _draw(frame, options["color"], names, style)


def _band(kept: pd.DataFrame, options: dict[str, Any]) -> pd.DataFrame:
    """Return the power law through the kept runs with a bootstrap band."""
    flops, loss = kept["flops"].to_numpy(), kept["loss"].to_numpy()
    index = np.random.default_rng(int(options["seed"])).integers(
        0, loss.size, (int(options["draws"]), loss.size)
    )
    # Three parameters need more than three distinct runs.
    index = index[[len(set(row)) > 3 for row in index.tolist()]]
    grid = np.geomspace(flops.min(), max(flops.max(), options["reach"]), _CURVE_POINTS)

    def at(ray: Any) -> Any:
        return ray.floor[:, None] + ray.scale[:, None] * grid ** -ray.eta[:, None]

    frame = pd.DataFrame({"flops": grid, "fit": at(fit_ray(flops, loss))[0], "what": "law"})
    if len(index):
        low, high = np.quantile(at(fit_ray(flops[index], loss[index])), [0.05, 0.95], axis=0)
        frame = frame.assign(low=low, high=high)
    return frame


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
