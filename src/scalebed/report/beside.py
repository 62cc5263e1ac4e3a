"""The fit beside the usual one, at the targets and the cells that were held out."""

from typing import Any

from scalebed.tables.reader import StudyDatabase

_ROWS = """
SELECT c.cell, c.dataset, c.size, c.ratio, c.seed, o.kind, o.response, o.law, o.measured,
       o.predicted, o.lower, o.upper, o.level, o.covered, o.relative_error, o.role,
       p.relative_error AS usual_error, p.covered AS usual_covered
FROM beside_predictions AS o JOIN cells AS c USING (cell)
LEFT JOIN predictions AS p
  ON p.cell = o.cell AND p.kind = o.kind AND p.response = o.response
WHERE o.role <> 'fit' AND o.response IN ($yardstick, 'average')
ORDER BY o.kind DESC, c.dataset, c.flops
"""


def beside(study: StudyDatabase) -> dict[str, Any] | None:
    """Return the fit beside at the targets, with what both cover; None if there is none."""
    rows = study.rows(_ROWS, {"yardstick": study.yardstick})
    if not rows:
        return None
    groups = []
    for kind in ("loss", "error"):
        for role in ("target", "held_out"):
            both = [
                row
                for row in rows
                if (row["kind"], row["role"]) == (kind, role)
                and None not in (row["covered"], row["usual_covered"])
            ]
            if both:
                groups.append(
                    {"kind": kind, "role": role.replace("_", " "), "cells": len(both)}
                    | {
                        name: sum(float(row[name]) for row in both) / len(both)
                        for name in ("covered", "usual_covered", "relative_error", "usual_error")
                    }
                )
    return {
        "law": rows[0]["law"],
        "level": rows[0]["level"],
        "groups": groups,
        "targets": [row for row in rows if row["role"] == "target"],
    }
