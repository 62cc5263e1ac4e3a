"""Best run against compute with its band, and what other sizes waste at a compute one chooses."""

import altair as alt
import pandas as pd

from scalebed.report.figures.style import CATEGORIES, INK, Style, log_axis, message
from scalebed.tables.reader import StudyDatabase

TITLE = "What to train"
CAPTION = (
    "Left: the best N at each compute with its interval, by data set. Right: the share of the "
    "compute that a size wastes, at the compute the slider is at (over that of the largest fitted "
    "run, in decades): the line is the median draw, the band reaches to what nine of ten draws do "
    "not exceed; the rule is 1 %."
)
_QUERY = """
    SELECT dataset, flops, round(2 * log10(times_largest)) / 2 AS decades, choice, params,
           params_lower, params_upper, regret, regret_most
    FROM decisions WHERE choice IN ('optimum', 'size') ORDER BY dataset, flops, params
"""
_SMALL = 0.01
_SHOWN = 1.0


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return the chart, two panels."""
    frame = study.frame(_QUERY)
    best = frame[frame["choice"] == "optimum"]
    if best.empty:
        return message(
            "Nothing to show: no law has a best run, or decisions is not among the checks.", TITLE
        )
    size = style.panel(2)
    return alt.hconcat(
        _optimum(best).properties(title="best N by compute", **size),
        _valley(frame[frame["choice"] == "size"]).properties(title="what a size wastes", **size),
    ).properties(title=TITLE)


def _colour() -> alt.Color:
    legend = alt.Legend(symbolOpacity=1)
    scale = alt.Scale(range=list(CATEGORIES))
    return alt.Color("dataset:N", scale=scale, title="data set", legend=legend)


def _optimum(frame: pd.DataFrame) -> alt.LayerChart | alt.FacetChart:
    limits = frame[["params", "params_lower", "params_upper"]].to_numpy().ravel()
    y = log_axis([float(v) for v in limits if v > 0], "N, parameters", count=True)
    x = log_axis(frame["flops"].tolist(), "training compute C, FLOPs")
    base = alt.Chart(frame).encode(x=alt.X("flops:Q", **x), color=_colour())
    band = base.mark_area(opacity=0.15).encode(
        y=alt.Y("params_lower:Q", **y), y2=alt.Y2("params_upper:Q")
    )
    line = base.mark_line(point=True).encode(
        y=alt.Y("params:Q", **y),
        tooltip=[
            alt.Tooltip("dataset:N"),
            *(alt.Tooltip(f"{name}:Q", format=".3g") for name in ("flops", "params")),
            *(alt.Tooltip(f"params_{end}:Q", format=".3g") for end in ("lower", "upper")),
        ],
    )
    return alt.layer(band, line)


def _valley(frame: pd.DataFrame) -> alt.LayerChart | alt.FacetChart:
    steps = sorted(frame["decades"].unique().tolist())
    slider = alt.binding_range(
        min=steps[0], max=steps[-1], step=0.5, name="decades above the largest run "
    )
    shown = alt.param(name="decades", value=_SHOWN, bind=slider)
    x = log_axis(frame["params"].tolist(), "N, parameters", count=True)
    scale = alt.Scale(domain=[0, 0.5])
    y = alt.Y("regret:Q", scale=scale, axis=alt.Axis(format="%"), title="compute wasted")
    base = (
        alt.Chart(frame)
        .transform_filter("abs(datum.decades - decades) < 0.01")
        .encode(x=alt.X("params:Q", **x), color=_colour())
    )
    band = base.mark_area(opacity=0.15, clip=True).encode(y=y, y2=alt.Y2("regret_most:Q"))
    line = base.mark_line(clip=True).encode(y=y)
    rule = (
        alt.Chart(pd.DataFrame({"small": [_SMALL]}))
        .mark_rule(color=INK, strokeDash=[4, 3])
        .encode(y=alt.Y("small:Q", scale=scale))
    )
    return alt.layer(band, line, rule).add_params(shown)
