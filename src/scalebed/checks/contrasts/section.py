"""Data sets compared, for the report."""

from typing import Any

from scalebed.checks.contrasts.table import parted
from scalebed.tables.reader import StudyDatabase

TEMPLATE = "section.html.j2"
ANCHOR, LINK = "contrasts", "Data sets"
_SURE = 0.95
_QUERY = """
SELECT * FROM contrasts ORDER BY kind DESC, response, flops, a, b
"""


def rows(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return the data sets pair by pair; `others` are the notes but for how far the target is."""
    found = study.rows(_QUERY)
    for row in found:
        notes = parted(row["notes"])
        row["others"] = "; ".join(note for note in notes if not note.startswith("the target has"))
    return found


def said(rows: list[dict[str, Any]]) -> str:
    """Say which data set is better at the largest target, pair by pair."""
    first = rows[0]
    known = [row for row in rows if row["response"] == first["response"]]
    known = [row for row in known if row["p_better"] is not None]
    if not known:
        return "How certain any difference is, is not known."
    largest = max(row["flops"] for row in known)
    told = [_pair(row) for row in known if row["flops"] == largest]
    what = f"the {first['kind']} on {first['response']}"
    return f"At the largest target, by {what}: {'; '.join(told)}."


def _pair(row: dict[str, Any]) -> str:
    share = max(row["p_better"], 1 - row["p_better"])
    better, worse = (row["a"], row["b"]) if row["p_better"] >= 0.5 else (row["b"], row["a"])
    sure = f"{100 * share:.0f}\u00a0%"
    if share < _SURE:
        return f"{better} or {worse} is open ({sure})"
    return f"{better} is better than {worse} ({sure})"
