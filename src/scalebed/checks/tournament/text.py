"""What a tournament says, as tables and in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from scalebed.checks.tournament.rows import Row
from scalebed.checks.tournament.table import BEST, EVEN, REFUSED
from scalebed.checks.tournament.verdict import verdicts
from scalebed.predict.open_study import StudyFit

_MARKS = {BEST: "*", EVEN: "~", REFUSED: "!"}
_LEGEND = (
    "* best of its column, ~ not established to be worse, ! some data set refused; in brackets the "
    "root mean square residual of the fits; = is the study's own"
)


def lines(study: StudyFit, rows: Sequence[Row], family: str) -> Iterator[str]:
    """Tables of mean errors, then the law to believe for a family of extrapolations."""
    yield from table_lines(rows)
    if not rows:
        yield f"study {study.name} has no cells beyond those it fits to: nothing to compare"
    for sentence in verdicts(rows, family):
        yield from ("", sentence)


def table_lines(rows: Sequence[Row]) -> list[str]:
    """Tables of mean errors: laws down, splits across; single tasks are left to the parquet."""
    single = {row["response"] for row in rows if row["scope"] == "tasks"}
    lines: list[str] = []
    for (kind, response, scope), found in groupby(rows, _group):
        group = list(found)
        if kind == "error" and single and response not in single:
            continue
        unit = "%" if group[0]["unit"] == "%" else "points"
        what = f"each task of {response}" if scope == "tasks" else response
        lines += ["", f"{what}: mean absolute error of the {kind}, {unit}", *_table(group)]
    return [*lines, "", _LEGEND] if lines else []


def _group(row: Row) -> tuple[str, str, str]:
    return row["kind"], row["response"], row["scope"]


def _table(rows: list[Row]) -> Iterator[str]:
    splits = list(dict.fromkeys(row["split"] for row in rows))
    cells = {(row["law"], row["objective"], row["split"]): row for row in rows}
    names = list(dict.fromkeys((row["law"], row["objective"]) for row in rows))
    own = {(row["law"], row["objective"]) for row in rows if row["own"]}
    order = sorted(names, key=lambda name: _rank([cells.get((*name, split)) for split in splits]))
    labels = [("=" if name in own else " ") + " ".join(name) for name in order]
    width = max(map(len, labels))
    columns = [max(len(split), 14) for split in splits]
    yield " ".join([" " * width, *(s.rjust(c) for s, c in zip(splits, columns, strict=True))])
    for label, name in zip(labels, order, strict=True):
        values = [_cell(cells.get((*name, split))) for split in splits]
        padded = [value.rjust(c) for value, c in zip(values, columns, strict=True)]
        yield " ".join([label.ljust(width), *padded]).rstrip()
    counts = [str(max(row["cells"] for row in rows if row["split"] == split)) for split in splits]
    padded = [text.rjust(c - 1) + " " for text, c in zip(counts, columns, strict=True)]
    yield " ".join([" predictions".ljust(width), *padded]).rstrip()


def _rank(rows: Sequence[Row | None]) -> float:
    """Mean error of a law over the splits, refused ones last."""
    found = [row["error"] for row in rows if row is not None and row["error"] is not None]
    return sum(found) / len(found) if len(found) == len(rows) else float("inf")


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    if row["error"] is None:
        return "refused!"
    text = f"{row['error']:.2f}"
    if row["in_sample"] is not None:
        text += f" ({row['in_sample']:.2f})"
    return text + _MARKS.get(row["standing"], " ")
