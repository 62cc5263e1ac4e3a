"""Which law to believe, for the report."""

from typing import Any

from scalebed.checks.tournament.table import BEST, EVEN
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


def said(rows: list[dict[str, Any]]) -> str:
    """Say how often the study's own law is among the best, response by response."""
    told = []
    for response in dict.fromkeys(row["response"] for row in rows):
        own = [row for row in rows if row["response"] == response and row["own"]]
        good = sum(row["standing"] in (BEST, EVEN) for row in own)
        told.append(f"{good} of {len(own)} extrapolations of {response}")
    return f"The study's own law is the best or not established to be worse in {', '.join(told)}."
