"""Whether the intervals cover, for the report."""

from typing import Any

from scalebed.tables.reader import StudyDatabase

TEMPLATE = "section.html.j2"
ANCHOR, LINK = "intervals", "Intervals"
_QUERY = """
SELECT * FROM calibration
WHERE dataset = (SELECT CASE WHEN bool_or(dataset = 'all') THEN 'all' ELSE min(dataset) END
                 FROM calibration)
ORDER BY kind DESC, response = 'average' DESC, response, scheme = 'simulation', scheme,
         chosen DESC, method
"""


def rows(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return coverage and score by response and scheme, each with the rows of its methods."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for row in study.rows(_QUERY):
        key = row["response"], row["scheme"]
        group = groups.setdefault(
            key,
            {name: row[name] for name in ("response", "kind", "scheme", "level")} | {"rows": []},
        )
        group["rows"].append(row)
    return list(groups.values())
