"""Error of every task against the yardstick loss, one small panel per task."""

import altair as alt

from scalebed.report.figures.style import CATEGORIES, MUTED, Style, linear_domain, message
from scalebed.tables.reader import StudyDatabase

TITLE = "Error of every task against loss"
CAPTION = (
    "One panel per task, named with a star if it counts in the average error; colour is the "
    "training set, the dashed line is the error of guessing. Tasks at the dashed line say nothing "
    "about models of this size."
)
OPTIONS = {"columns": 6, "average_only": False}
_QUERY = """
SELECT c.dataset, c.size, c.ratio AS M, l.loss, t.error, t.chance_error,
       CASE WHEN t.in_average THEN '★ ' ELSE '' END || t.task AS panel
FROM tasks t JOIN cells c USING (cell)
JOIN losses l ON l.cell = c.cell AND l.validation = $yardstick
WHERE t.in_average OR NOT $average_only
ORDER BY t.task, c.dataset, l.loss
"""


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return the chart."""
    options = OPTIONS | dict(style.options)
    frame = study.frame(
        _QUERY, {"yardstick": study.yardstick, "average_only": bool(options["average_only"])}
    )
    if frame.empty:
        return message("No cell of this study has a loss and task errors.", TITLE)
    x = alt.X(
        "loss:Q",
        scale=alt.Scale(domain=linear_domain(list(frame["loss"])), nice=False, zero=False),
        axis=alt.Axis(tickCount=4),
        title=f"loss on {study.yardstick}",
    )
    y = alt.Axis(format=".2f", tickCount=4)
    cells = (
        alt.Chart()
        .mark_point(filled=True, size=16, opacity=0.85)
        .encode(
            x=x,
            y=alt.Y("error:Q", scale=alt.Scale(zero=False), axis=y, title="error"),
            color=alt.Color("dataset:N", scale=alt.Scale(range=list(CATEGORIES)), title="data set"),
            tooltip=[
                *(alt.Tooltip(name) for name in ("panel:N", "dataset:N", "size:N", "M:O")),
                *(alt.Tooltip(name, format=".4f") for name in ("loss:Q", "error:Q")),
            ],
        )
    )
    chance = (
        alt.Chart()
        .mark_rule(color=MUTED, strokeDash=[3, 3])
        .encode(
            y=alt.Y("min(chance_error):Q", scale=alt.Scale(zero=False), axis=y, title="error"),
        )
    )
    columns = max(1, min(int(options["columns"]), frame["panel"].nunique()))
    width = style.width or max(90, 840 // columns - 45)
    order = list(dict.fromkeys(frame["panel"]))
    facet = alt.Facet(
        "panel:N", title=None, sort=order, header=alt.Header(labelFontSize=8, labelLimit=width + 60)
    )
    return (
        alt.layer(chance, cells, data=frame)
        .properties(width=width, height=style.height or int(0.8 * width))
        .facet(facet=facet, columns=columns)
        .resolve_scale(y="independent")
        .properties(title=TITLE)
    )
