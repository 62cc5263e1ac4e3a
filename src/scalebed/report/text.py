"""The answer of a study as aligned text for a terminal."""

from collections.abc import Sequence
from typing import Any

from scalebed.report import answer
from scalebed.report.numbers import count, fixed, percent, times
from scalebed.tables.reader import StudyDatabase

_HEADINGS = (
    *("data set", "size", "M", "N", "compute", "", "predicted", "interval", "measured"),
    *("deviation", ""),
)
_LEFT = (0, 1, 5, 10)


def predictions_text(study: StudyDatabase) -> str:
    """Return the table of targets, and one line on how the predictions of each kind did."""
    targets = answer.targets(study)
    if not targets:
        return "This study names no targets; laws and held-out cells are in the report.\n"
    rows = [_row(target, row) for target in targets for row in (target.loss, target.error) if row]
    kinds = (("loss", [t.loss for t in targets]), ("error", [t.error for t in targets]))
    lines = [_summary(answer.summary(found, kind)) for kind, found in kinds]
    return "\n".join([*align([_HEADINGS, *rows], _LEFT), "", *filter(None, lines), ""])


def _row(target: answer.Target, row: dict[str, Any]) -> tuple[str, ...]:
    cell = target.cell
    first = (cell["dataset"], cell["size"], f"{cell['ratio']:g}", count(cell["params"]))
    measured = fixed(row["measured"], 4)
    if row["predicted"] is None:
        why = "fit refused" if row["refused"] else "no prediction"
        return (*first, times(cell["fit_ratio"]), row["kind"], "–", "–", measured, "–", why)
    inside = {True: "inside", False: "OUTSIDE", None: cell["status"]}[row["covered"]]
    return (
        *first,
        times(cell["fit_ratio"]),
        row["kind"],
        fixed(row["predicted"], 4),
        f"{fixed(row['lower'], 4)} to {fixed(row['upper'], 4)}",
        measured,
        percent(row["deviation"], 2, signed=True),
        inside if inside != "done" else "not measured",
    )


def _summary(item: answer.Summary | None) -> str:
    if item is None:
        return ""
    return (
        f"{item.kind}: mean relative error {percent(item.mean, 2)}, "
        f"worst {percent(item.worst, 2)}; "
        f"{item.covered} of {item.compared} inside the {percent(item.level, 0)} prediction interval"
    )


def align(rows: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    """Return rows as lines of aligned columns; those in `left` begin at the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            text.ljust(width) if column in left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
