"""What a study of imported cells adds to the report: printed numbers, the search, data lints."""

from pathlib import Path
from typing import Any

from scalebed.tables.arrow import read_parquet
from scalebed.tables.reader import StudyDatabase

_SEARCH = """
SELECT count(*) AS configurations, count(DISTINCT (width, layers, heads)) AS shapes,
       sum(flops) AS flops, count(*) FILTER (frontier) AS frontier,
       count(*) FILTER (kept) AS kept, count(*) FILTER (chosen) AS chosen,
       sum(flops) / (SELECT avg(total) FROM (SELECT sum(flops) AS total FROM cells
                                             WHERE fit_loss GROUP BY dataset)) AS ratio
FROM search
"""


def comparisons(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return printed numbers beside the ones of this study."""
    return study.rows("SELECT * FROM comparisons ORDER BY item, quantity")


def search(study: StudyDatabase, explored: Path) -> dict[str, Any] | None:
    """Return what the search cost, and the configurations chosen from it; None without one.

    Parameters
    ----------
    study
    explored
        File with the laws of the search, see `scalebed.checks.explore.search_laws`.
    """
    (total,) = study.rows(_SEARCH)
    if not total["configurations"]:
        return None
    rows = study.rows("SELECT * FROM search WHERE chosen ORDER BY params")
    return total | {"rows": rows, "laws": _laws(explored)}


# What the laws of the search are fitted to, in the words of the report.
_POINTS = {"kept": "the filtered frontier", "chosen": "the chosen ones"}


def _laws(explored: Path) -> list[dict[str, Any]]:
    """Return L = E + lambda C^-eta of the search, and what it says of the larger models."""
    rows = read_parquet(explored).to_pylist()
    laws = []
    for flag, what in _POINTS.items():
        own = [row for row in rows if row["points_of"] == flag]
        shown = [row for row in own if row["refused"] is None]
        for first in own[:1]:
            law = {"what": what, "points": first["points"], "refused": first["refused"]}
            laws.append(law | {"rows": shown})
    return laws


_TASKS = """
SELECT task, bool_or(in_average) AS in_average, max(items) AS items,
       max(chance_error) AS chance, min(error) AS best, max(chance_error) - min(error) AS gain
FROM tasks GROUP BY task ORDER BY gain DESC NULLS LAST, task
"""


def tasks(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return every task with its items, the error of guessing and the best error of a cell."""
    return study.rows(_TASKS)


def lints(study: StudyDatabase) -> dict[str, list[dict[str, Any]]]:
    """Return what the checks found, by check; warnings first."""
    found: dict[str, list[dict[str, Any]]] = {}
    order = "severity = 'note', check_name, subject, message"
    for row in study.rows(f"SELECT * FROM lints ORDER BY {order}"):
        found.setdefault(row["check_name"], []).append(row)
    return found
