"""Which tasks can be predicted, for the report."""

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
    """Return the class of every task."""
    return study.rows(_QUERY)
