"""What the decisions of a study say in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scalebed.core.quantities import between


def lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the best run of every data set at every compute."""
    for row in rows:
        if row["choice"] == "optimum":
            yield f"{row['dataset']}, {row['times_largest']:.3g} x the largest run: {best(row)}"


def best(row: Mapping[str, Any]) -> str:
    """Say which run it is."""
    params, tokens = (
        between(row[name], (row[f"{name}_lower"], row[f"{name}_upper"]))
        for name in ("params", "tokens")
    )
    return f"N {params}, D {tokens}, M {row['tokens'] / row['params']:.3g}"
