"""What the study measured about its own laws and intervals."""

from typing import Any

from scalebed.tables.reader import StudyDatabase

_CALIBRATION = """
SELECT * FROM calibration
WHERE dataset = (SELECT CASE WHEN bool_or(dataset = 'all') THEN 'all' ELSE min(dataset) END
                 FROM calibration)
ORDER BY kind DESC, response = 'average' DESC, response, scheme = 'simulation', scheme,
         chosen DESC, method
"""
# The study's own law, and for every split the best one.
_TOURNAMENT = """
SELECT * FROM tournament
WHERE scope = 'response' AND error IS NOT NULL AND (own OR standing = 'best')
ORDER BY kind DESC, response = 'average' DESC, response, family, split, own DESC, error
"""
_CONTRASTS = """
SELECT * FROM contrasts ORDER BY kind DESC, response, flops, a, b
"""
_RELIABILITY = """
SELECT * FROM reliability
WHERE dataset = (SELECT CASE WHEN bool_or(dataset = 'all') THEN 'all' ELSE min(dataset) END
                 FROM reliability)
ORDER BY class = 'predictable' DESC, class, task
"""


def calibration(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return coverage and score by response and scheme, each with the rows of its methods."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for row in study.rows(_CALIBRATION):
        key = row["response"], row["scheme"]
        group = groups.setdefault(
            key,
            {name: row[name] for name in ("response", "kind", "scheme", "level")} | {"rows": []},
        )
        group["rows"].append(row)
    return list(groups.values())


def tournament(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return for every split the study's own law and the best one."""
    return study.rows(_TOURNAMENT)


def contrasts(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return the data sets pair by pair."""
    return study.rows(_CONTRASTS)


def reliability(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return the class of every task."""
    return study.rows(_RELIABILITY)
