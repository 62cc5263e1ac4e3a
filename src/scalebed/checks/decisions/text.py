"""What the decisions of a study say in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scalebed.core.quantities import amount_text


def lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the best run of every data set at every compute."""
    for row in rows:
        if row["choice"] == "optimum":
            yield f"{row['dataset']}, {row['times_largest']:.3g} x the largest run: {best(row)}"


def best(row: Mapping[str, Any]) -> str:
    """Say which run it is."""
    return (
        f"N {between(row, 'params')}, D {between(row, 'tokens')}, "
        f"M {row['tokens'] / row['params']:.3g}"
    )


def between(row: Mapping[str, Any], name: str) -> str:
    """Write N or D with its interval."""
    text = amount_text(row[name])
    if row[f"{name}_lower"] is None:
        return text
    low, high = (amount_text(row[f"{name}_{end}"]) for end in ("lower", "upper"))
    return f"{text} ({low} .. {high})"
