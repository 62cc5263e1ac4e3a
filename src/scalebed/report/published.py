"""What a study of imported cells adds to the report: printed numbers, the search, data lints."""

from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.search.power import Bootstrap, fit_power
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


def search(study: StudyDatabase) -> dict[str, Any] | None:
    """Return what the search cost, and the configurations chosen from it; None without one."""
    (total,) = study.rows(_SEARCH)
    if not total["configurations"]:
        return None
    rows = study.rows("SELECT * FROM search WHERE chosen ORDER BY params")
    return total | {"rows": rows, "laws": _laws(study)}


_TARGETS = """
SELECT DISTINCT size, flops FROM cells
WHERE params > (SELECT max(params) FROM search)
      AND round(token_multiplier) IN (SELECT DISTINCT round(tokens / params) FROM search)
ORDER BY flops
"""


def _laws(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return L = E + lambda C^-eta of the search, and what it says of the larger models."""
    targets = {f"loss of {row['size']}": row["flops"] for row in study.rows(_TARGETS)}
    laws = []
    for what, flag in (("the filtered frontier", "kept"), ("the chosen ones", "chosen")):
        frame = study.frame(f"SELECT flops, loss FROM search WHERE {flag} ORDER BY flops, loss")
        try:
            found = fit_power(
                frame["flops"].to_numpy(), frame["loss"].to_numpy(), targets, Bootstrap()
            )
        except ScalebedError as error:
            laws.append({"what": what, "points": len(frame), "refused": str(error), "rows": []})
            continue
        laws.append({"what": what, "points": len(frame), "refused": None, "rows": found})
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
