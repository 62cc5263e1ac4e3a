"""Data sets compared, for the report."""

from typing import Any

from scalebed.tables.reader import StudyDatabase

TEMPLATE = "section.html.j2"
ANCHOR, LINK = "contrasts", "Data sets"
_QUERY = """
SELECT * FROM contrasts ORDER BY kind DESC, response, flops, a, b
"""


def rows(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return the data sets pair by pair."""
    return study.rows(_QUERY)
