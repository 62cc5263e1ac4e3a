"""Mean task error against several validation losses, coloured by training set."""

from typing import Any

import altair as alt

from scalebed.core.errors import ScalebedError
from scalebed.report.figures.style import CATEGORIES, Style, message
from scalebed.tables.reader import StudyDatabase

TITLE = "Task error against different validation losses"
CAPTION = (
    "Mean task error against the loss on each validation set; colour is the training set. Where "
    "the colours do not fall on one curve, that loss does not rank models across training sets."
)
OPTIONS: dict[str, Any] = {"validations": "", "both": False}
_QUERY = """
WITH averages AS (
    SELECT cell, 'tasks of the average' AS tasks, avg(error) AS error
    FROM tasks WHERE in_average GROUP BY cell
    UNION ALL
    SELECT cell, 'all tasks', avg(error) FROM tasks WHERE $both GROUP BY cell
)
SELECT c.dataset, c.size, c.ratio AS M, l.validation, l.loss, a.tasks, a.error
FROM cells c JOIN losses l USING (cell) JOIN averages a ON a.cell = c.cell
ORDER BY a.tasks, l.validation, c.dataset, l.loss
"""


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return the chart; `validations` is a list with commas, '' stands for all."""
    options = OPTIONS | dict(style.options)
    frame = study.frame(_QUERY, {"both": bool(options["both"])})
    if frame.empty:
        return message("No cell of this study has a loss and task errors.", TITLE)
    names = [name.strip() for name in options["validations"].split(",") if name.strip()]
    known = list(dict.fromkeys(frame["validation"]))
    for name in names:
        if name not in known:
            raise ScalebedError(
                f"figure errors_by_validation: no loss on {name!r} was measured; "
                f"there is {', '.join(known)}"
            )
    names = names or sorted(known)
    kinds = sorted(frame["tasks"].unique(), reverse=True)
    rows = [_row(frame[frame["tasks"] == kind], kind, names, style) for kind in kinds]
    return alt.vconcat(*rows).properties(title=TITLE)


def _row(frame: Any, kind: str, names: list[str], style: Style) -> alt.ConcatChart:
    panels = [
        alt.Chart(frame[frame["validation"] == name])
        .mark_point(filled=True, size=35, opacity=0.9)
        .encode(
            x=alt.X("loss:Q", scale=alt.Scale(zero=False), title=f"loss on {name}"),
            y=alt.Y(
                "error:Q",
                scale=alt.Scale(zero=False),
                axis=alt.Axis(format=".2f"),
                title=f"mean error, {kind}",
            ),
            color=alt.Color("dataset:N", scale=alt.Scale(range=list(CATEGORIES)), title="data set"),
            tooltip=[
                *(alt.Tooltip(name) for name in ("dataset:N", "size:N", "M:O")),
                *(alt.Tooltip(name, format=".4f") for name in ("loss:Q", "error:Q")),
            ],
        )
        .properties(**style.panel(len(names), 0.9))
        for name in names
    ]
    return alt.concat(*panels, columns=3)
