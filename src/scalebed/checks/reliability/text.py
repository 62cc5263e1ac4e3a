"""What the classes of tasks say in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences of all tasks by class, over all data sets if there are several."""
    if not rows:
        return []
    first = rows[0]["dataset"]
    own = [row for row in rows if row["dataset"] == first]
    counts: dict[str, int] = {}
    for row in own:
        counts[row["class"]] = counts.get(row["class"], 0) + 1
    head = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    ordered = sorted(own, key=lambda row: (row["class"], row["task"]))
    return [f"{len(own)} tasks over {first}: {head}", *(row["sentence"] for row in ordered)]
