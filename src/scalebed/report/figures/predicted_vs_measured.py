"""Predicted against measured loss and error, and the deviation in per cent below."""

import altair as alt
import pandas as pd

from scalebed.report.figures.style import CATEGORIES, ROLES, Style, linear_domain, message
from scalebed.tables.reader import StudyDatabase

TITLE = "Predicted against measured"
CAPTION = (
    "Targets and held-out cells with their prediction intervals; fit cells, which the law has "
    "seen, are small and pale. On the diagonal a prediction is exact; below, the same points as "
    "deviation from what was measured."
)
_QUERY = """
SELECT p.kind, p.dataset, p.role, p.predicted, p.lower, p.upper, p.measured, c.size,
       c.ratio AS M,
       100 * (predicted / measured - 1) AS deviation,
       100 * (lower / measured - 1) AS deviation_lower,
       100 * (upper / measured - 1) AS deviation_upper
FROM predictions p JOIN cells c USING (cell, dataset)
WHERE measured > 0 AND ((kind = 'loss' AND response = $yardstick)
                        OR (kind = 'error' AND response = 'average'))
ORDER BY role = 'target', role = 'held_out', dataset, cell
"""
_LABELS = {"loss": "loss on {} (nats/token)", "error": "mean task error"}


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return one column of panels for loss and one for error."""
    frame = study.frame(_QUERY, {"yardstick": study.yardstick})
    if frame.empty:
        return message("Nothing was both predicted and measured.", TITLE)
    frame["role"] = frame["role"].str.replace("_", " ")
    kinds = [kind for kind in _LABELS if (frame["kind"] == kind).any()]
    size = style.panel(max(2, len(kinds)), 0.8)
    datasets = sorted(frame["dataset"].unique())
    columns = [
        _column(frame[frame["kind"] == kind], _LABELS[kind].format(study.yardstick), datasets, size)
        for kind in kinds
    ]
    return alt.hconcat(*columns, spacing=30).properties(title=TITLE)


def _column(
    frame: pd.DataFrame, label: str, datasets: list[str], size: dict[str, float]
) -> alt.VConcatChart:
    shown = frame[frame["role"] != "fit"] if (frame["role"] != "fit").any() else frame
    ends = pd.concat([frame["predicted"], frame["measured"], shown["lower"], shown["upper"]])
    domain = linear_domain(list(ends.dropna()))
    scale = alt.Scale(domain=domain, nice=False, zero=False)
    base = alt.Chart(frame).encode(
        x=alt.X("measured:Q", scale=scale, title=f"measured {label}"),
        color=_color(datasets),
    )
    diagonal = (
        alt.Chart(alt.Data(values=[{"end": domain[0]}, {"end": domain[1]}]))
        .mark_line(color="#9aa5b1", strokeWidth=1)
        .encode(x=alt.X("end:Q", scale=scale), y=alt.Y("end:Q", scale=scale))
    )
    upper = _marks(base, ("predicted", "lower", "upper"), scale, "predicted")
    deviations = shown[["deviation", "deviation_lower", "deviation_upper"]].to_numpy().ravel()
    reach = linear_domain([value for value in deviations if value == value] or [-1.0, 1.0])
    reach_scale = alt.Scale(domain=reach, nice=False)
    names = ("deviation", "deviation_lower", "deviation_upper")
    lower = _marks(base, names, reach_scale, "deviation (%)")
    zero = (
        alt.Chart(alt.Data(values=[{"y": 0}]))
        .mark_rule(color="#9aa5b1", clip=True)
        .encode(y=alt.Y("y:Q", scale=reach_scale))
    )
    return alt.vconcat(
        alt.layer(diagonal, *upper).properties(**size),
        alt.layer(zero, *lower).properties(width=size["width"], height=0.45 * size["height"]),
        spacing=12,
    )


def _color(datasets: list[str]) -> alt.Color:
    colors = [CATEGORIES[index % len(CATEGORIES)] for index in range(len(datasets))]
    return alt.Color("dataset:N", scale=alt.Scale(domain=datasets, range=colors), title="data set")


def _marks(
    base: alt.Chart, names: tuple[str, str, str], scale: alt.Scale, title: str
) -> tuple[alt.Chart, alt.Chart]:
    """Return intervals (not of fit cells) and points; `names` are the middle and the ends."""
    middle, lower, upper = names
    shapes = alt.Scale(domain=list(ROLES), range=["circle", "square", "diamond"])
    target = "datum.role == 'target'"
    intervals = (
        base.transform_filter("datum.role != 'fit'")
        .mark_rule(clip=True)
        .encode(
            y=alt.Y(f"{lower}:Q", scale=scale, title=title),
            y2=f"{upper}:Q",
            strokeWidth=alt.condition(target, alt.value(2.2), alt.value(1.0)),
            opacity=alt.condition(target, alt.value(0.9), alt.value(0.3)),
        )
    )
    points = base.mark_point(filled=True, clip=True, stroke="white", strokeWidth=0.5).encode(
        y=alt.Y(f"{middle}:Q", scale=scale, title=title),
        shape=alt.Shape("role:N", scale=shapes, title="cell"),
        size=alt.condition(target, alt.value(110), alt.value(34)),
        opacity=alt.condition("datum.role == 'fit'", alt.value(0.35), alt.value(1.0)),
        tooltip=[
            *(alt.Tooltip(name) for name in ("dataset:N", "size:N", "M:O", "role:N")),
            *(
                alt.Tooltip(f"{name}:Q", format=".4f")
                for name in ("measured", "predicted", "lower", "upper")
            ),
            alt.Tooltip("deviation:Q", title="deviation %", format="+.2f"),
        ],
    )
    return intervals, points
