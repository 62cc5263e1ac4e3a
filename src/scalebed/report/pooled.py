"""The fit to all data sets together, beside the separate ones."""

from typing import Any

from scalebed.tables.reader import StudyDatabase

_TARGETS = """
SELECT c.cell, c.dataset, c.size, c.ratio, c.seed, o.measured, o.predicted AS pooled, o.lower,
       o.upper, o.level, o.covered, o.relative_error AS pooled_error, p.predicted AS separate,
       p.relative_error AS separate_error
FROM pooled_predictions AS o JOIN cells AS c USING (cell)
LEFT JOIN {beside}predictions AS p
  ON p.cell = o.cell AND p.dataset = o.dataset AND p.kind = 'loss' AND p.response = o.response
WHERE o.role = 'target' ORDER BY c.dataset, c.flops
"""
_PARAMETERS = """
SELECT o.dataset, o.parameter, o.value, o.lower, o.upper, o.unit, o.pooled, f.value AS separate
FROM pooled_parameters AS o
LEFT JOIN (SELECT p.parameter, p.value, f.dataset FROM {beside}fit_parameters AS p
           JOIN {beside}fits AS f USING (fit)
           WHERE f.kind = 'loss' AND f.response = $yardstick) AS f
  ON f.dataset = o.dataset AND f.parameter = o.parameter
WHERE o.pooled ORDER BY o.parameter, o.dataset
"""


def pooled(study: StudyDatabase) -> dict[str, Any] | None:
    """Return the pooled fit beside the separate ones; None if the study asks for none."""
    ladder = study.rows("SELECT * FROM pooling ORDER BY spread NULLS LAST")
    if not ladder:
        return None
    # Compare with the separate fits of the same law.
    other = "beside_" if study.rows("SELECT 1 FROM beside_fits LIMIT 1") else ""
    targets = study.rows(_TARGETS.format(beside=other))
    both = [
        row
        for row in targets
        if row["pooled_error"] is not None and row["separate_error"] is not None
    ]
    chosen = next((row for row in ladder if row["chosen"]), None)
    return {
        "ladder": [row for row in ladder if row["error"] is not None],
        "chosen": chosen,
        "reason": ladder[0]["reason"],
        "first": ladder[0],
        "targets": targets,
        "compared": len(both),
        "mean_pooled": _mean([row["pooled_error"] for row in both]),
        "mean_separate": _mean([row["separate_error"] for row in both]),
        "parameters": study.rows(_PARAMETERS.format(beside=other), {"yardstick": study.yardstick}),
    }


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
