"""Which tasks can be predicted, for the report."""

from collections import Counter
from typing import Any

from scalebed.tables.reader import StudyDatabase

TEMPLATE = "section.html.j2"
ANCHOR, LINK = "reliability", "Tasks"
_QUERY = """
SELECT * FROM reliability
WHERE dataset = (SELECT CASE WHEN bool_or(dataset = 'all') THEN 'all' ELSE min(dataset) END
                 FROM reliability)
ORDER BY class = 'predictable' DESC, class, task
"""


def rows(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return the class of every task; `why` is its sentence without what other columns say."""
    found = study.rows(_QUERY)
    for row in found:
        row["why"] = (row["sentence"] or "").removeprefix(f"{row['task']}: ")
        row["why"] = row["why"].removeprefix(f"{row['class']}: ")
    return found


def said(rows: list[dict[str, Any]]) -> str:
    """Say how many tasks are of each class."""
    counts = Counter(row["class"] or "without a class" for row in rows)
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"Of {len(rows)} tasks: {told}."
