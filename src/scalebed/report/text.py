"""The answer of a study as aligned text for a terminal."""

from collections.abc import Sequence
from typing import Any

from scalebed.core.ended import ended_lines, ended_words
from scalebed.core.shown import in_line
from scalebed.report import answer
from scalebed.report.numbers import count, fixed, percent, times
from scalebed.tables.reader import StudyDatabase

_HEADINGS = (
    *("data set", "size", "M", "N", "compute", "", "predicted", "interval", "measured"),
    *("deviation", "", "numbers", "evidence"),
)
_LEFT = (0, 1, 5, 10, 11, 12)
_UNFINISHED = """
SELECT cell, status, reason FROM cells WHERE status IN ('failed', 'diverged') ORDER BY cell
"""


def predictions_text(study: StudyDatabase, full: bool = False) -> str:
    """Return the table of targets, and one line on how the predictions of each kind did.

    Parameters
    ----------
    study
        Database of the study.
    full
        Whether the two statements on each prediction stand below it in full, not their first words
        beside it.
    """
    targets = answer.targets(study)
    if not targets:
        return "This study names no targets; laws and held-out cells are in the report.\n"
    rows = [(t, row) for t in targets for row in (t.loss, t.error) if row]
    table = [_HEADINGS, *((*_row(target, row), *_short(row)) for target, row in rows)]
    # In full they stand below, and beside the row nothing is to be said twice.
    head, *lines = align([row[:-2] if full else row for row in table], _LEFT)
    shown = [head]
    for line, (_, row) in zip(lines, rows, strict=True):
        shown += [line, *(_statements(row) if full else ())]
    kinds = (("loss", [t.loss for t in targets]), ("error", [t.error for t in targets]))
    said = [_summary(answer.summary(found, kind)) for kind, found in kinds]
    return "\n".join(map(in_line, [*shown, "", *filter(None, said), ""]))


def _short(row: dict[str, Any]) -> tuple[str, str]:
    """Return the first words of the two statements: of both laws where there are two."""
    if row["predicted"] is None:
        return "refused" if row["refusal"] else "–", "–"
    return _verdicts(row["numbers"]), _verdicts(row["evidence"] or "–")


def _verdicts(said: str) -> str:
    parts = said.removeprefix("loss law ").split("; error law ")
    heads = dict.fromkeys(part.partition(":")[0] for part in parts)
    # "held" beside "held to 2x of 10x the compute" adds nothing.
    return ", ".join(h for h in heads if not any(o != h and o.startswith(h) for o in heads))


def _statements(row: dict[str, Any]) -> list[str]:
    """Return the two statements on a prediction, or why its fit was refused, a line each."""
    if row["predicted"] is None:
        return [f"    numbers: refused: {row['refusal']}"] if row["refusal"] else []
    said = [f"    numbers: {row['numbers']}"]
    return [*said, f"    evidence: {row['evidence']}"] if row["evidence"] else said


def unfinished_text(study: StudyDatabase) -> str:
    """Return the cells that failed or diverged with their reasons, "" if there are none."""
    (total,) = study.rows("SELECT count(*) AS cells FROM cells")
    trained = "importer" not in study.facts()
    return "\n".join(ended_lines(study.rows(_UNFINISHED), total["cells"], trained))


def _row(target: answer.Target, row: dict[str, Any]) -> tuple[str, ...]:
    cell = target.cell
    first = (cell["dataset"], cell["size"], f"{cell['ratio']:g}", count(cell["params"]))
    measured = fixed(row["measured"], 4)
    ended = ended_words(cell["status"], cell["reason"])
    if row["predicted"] is None:
        why = "fit refused" if row["refused"] else "no prediction"
        why = why if cell["status"] == "done" else f"{why}; {ended}"
        return (*first, times(cell["fit_ratio"]), row["kind"], "–", "–", measured, "–", why)
    inside = {True: "inside", False: "OUTSIDE", None: ended}[row["covered"]]
    return (
        *first,
        times(cell["fit_ratio"]),
        row["kind"],
        fixed(row["predicted"], 4),
        f"{fixed(row['lower'], 4)} to {fixed(row['upper'], 4)}",
        measured,
        percent(row["deviation"], 2, signed=True),
        inside,
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
