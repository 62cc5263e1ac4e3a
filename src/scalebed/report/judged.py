"""What was predicted before the targets trained, beside what they gave."""

import json
from typing import Any

from scalebed.tables.reader import StudyDatabase

_ROWS = """
SELECT j.*, c.size, c.ratio, c.seed, c.status, j.predicted / nullif(j.measured, 0) - 1 AS deviation
FROM judged j JOIN cells c USING (cell, dataset)
ORDER BY j.kind DESC, j.response NOT IN ($yardstick, 'average'), j.response, j.dataset, j.flops,
         j.cell
"""


def judged(study: StudyDatabase) -> dict[str, Any] | None:
    """Return the seal, a summary by kind and all rows; None if the study seals nothing."""
    facts = study.facts()
    if "seal" not in facts:
        return None
    rows = study.rows(_ROWS, {"yardstick": study.yardstick})
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in ("loss", "error")}
    return {
        "seal": json.loads(facts["seal"]),
        "summaries": [_summary(kind, some) for kind, some in kinds.items() if some],
        "rows": rows,
    }


def _summary(kind: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    found = [row for row in rows if row["measured"] is not None]
    errors = [row["relative_error"] for row in found if row["relative_error"] is not None]
    return {
        "kind": kind,
        "judged": len(found),
        "bounded": sum(row["inside"] is not None for row in found),
        "inside": sum(row["inside"] is True for row in found),
        "level": rows[0]["level"],
        "mean": sum(errors) / len(errors) if errors else None,
        "unmeasured": len(rows) - len(found),
    }
