"""Training curves of all cells, thinned to what the eye can tell apart."""

import altair as alt
import pandas as pd

from scalebed.report.figures.style import (
    MAX_COLUMNS,
    SEQUENCE,
    Style,
    linear_domain,
    log_axis,
    message,
)
from scalebed.report.numbers import compact
from scalebed.tables.reader import StudyDatabase

TITLE = "Training curves"
CAPTION = (
    "Training loss against tokens seen, averaged over stretches of equal length on the "
    "logarithmic axis; colour is model size. Dashed curves belong to cells that diverged."
)
# A browser stays quick with this many points in all; a curve needs some to keep its shape.
_POINTS, _LEAST, _MOST = 9000, 16, 120
_QUERY = """
WITH numbered AS (
    SELECT *, dense_rank() OVER (ORDER BY cell) AS curve, least(
        floor($points * ln(step) / greatest(ln(max(step) OVER (PARTITION BY cell)), 1e-9)),
        $points - 1) AS stretch
    FROM curves WHERE loss IS NOT NULL AND step > 0
)
SELECT c.dataset, n.curve, c.size, c.ratio AS M, c.params, c.status, max(n.tokens) AS tokens,
       -- An average would hide how a diverging cell ends.
       CASE WHEN c.status = 'diverged' THEN max(n.loss) ELSE avg(n.loss) END AS loss,
       max(n.step) AS step
FROM numbered n JOIN cells c USING (cell)
GROUP BY c.dataset, n.curve, c.size, c.ratio, c.params, c.status, n.stretch
ORDER BY c.dataset, c.params, M, n.curve, step
"""


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return the chart, one panel per data set."""
    count = study.rows("SELECT count(DISTINCT cell) AS n FROM curves")[0]["n"]
    if not count:
        return message("No cell of this study has a training curve.", TITLE)
    wanted = max(_LEAST, min(_MOST, _POINTS // count))
    frame = study.frame(_QUERY, {"points": wanted})
    sizes = frame.drop_duplicates("params").sort_values("params")["params"]
    frame["N"] = frame["params"].map(compact)
    frame["ended"] = (frame["status"] == "diverged").map({True: "diverged", False: "finished"})
    frame = frame.drop(columns=["params", "status"])
    return _draw(frame, list(dict.fromkeys(sizes.map(compact))), style)


def _draw(frame: pd.DataFrame, sizes: list[str], style: Style) -> alt.TopLevelMixin:
    finished = frame[frame["ended"] == "finished"]["loss"]
    # What diverged goes off the chart instead of flattening everything else.
    values = finished if len(finished) else frame["loss"]
    pick = alt.selection_point(name="pick", fields=["N"], bind="legend")
    lines = (
        alt.Chart(frame)
        .mark_line(strokeWidth=1.2, clip=True)
        .encode(
            x=alt.X("tokens:Q", **log_axis(list(frame["tokens"]), "tokens seen", count=True)),
            y=alt.Y(
                "loss:Q",
                scale=alt.Scale(domain=linear_domain(list(values)), nice=False),
                title="training loss (nats/token)",
            ),
            color=alt.Color("N:O", sort=sizes, scale=alt.Scale(scheme=SEQUENCE), title="N"),
            detail="curve:N",
            opacity=alt.condition(pick, alt.value(0.85), alt.value(0.08)),
            strokeDash=alt.StrokeDash(
                "ended:N",
                scale=alt.Scale(domain=["finished", "diverged"], range=[[1, 0], [4, 3]]),
                title="cell",
            ),
            tooltip=[
                *(alt.Tooltip(name) for name in ("dataset:N", "size:N", "M:O", "ended:N")),
                alt.Tooltip("step:Q", format=",d"),
                alt.Tooltip("tokens:Q", format=",d"),
                alt.Tooltip("loss:Q", format=".4f"),
            ],
        )
        .add_params(pick)
        .properties(name="picked")
    )
    return (
        lines.properties(**style.panel(frame["dataset"].nunique()))
        .facet(facet=alt.Facet("dataset:N", title=None), columns=MAX_COLUMNS)
        .properties(title=TITLE)
    )
