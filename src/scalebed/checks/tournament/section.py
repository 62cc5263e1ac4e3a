"""Which law to believe, for the report."""

from typing import Any

from scalebed.tables.reader import StudyDatabase

TEMPLATE = "section.html.j2"
ANCHOR, LINK = "tournament", "Tournament"
# The study's own law, and for every split the best one.
_QUERY = """
SELECT * FROM tournament
WHERE scope = 'response' AND error IS NOT NULL AND (own OR standing = 'best')
ORDER BY kind DESC, response = 'average' DESC, response, family, split, own DESC, error
"""


def rows(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return for every split the study's own law and the best one."""
    return study.rows(_QUERY)
