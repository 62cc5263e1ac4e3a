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


def said(groups: list[dict[str, Any]]) -> str:
    """Say what the study's own intervals covered, where most runs that exist were predicted."""
    best: dict[str, dict[str, Any]] = {}
    for group in groups:
        for row in group["rows"]:
            real = row["chosen"] and group["scheme"] != "simulation"
            known = best.get(group["response"])
            if real and (known is None or row["cells"] > known["cells"]):
                best[group["response"]] = row
    told = [
        f"{100 * row['coverage']:.0f}\u00a0% of {row['cells']} runs of {name} ({row['scheme']})"
        for name, row in best.items()
    ]
    level = f"{100 * groups[0]['level']:.0f}\u00a0%"
    if not told:
        return "No run that was not fitted is there to judge the study's own intervals by."
    return f"The study's own {level} intervals held {', '.join(told)}."
