"""What a calibration says, and what it cannot show, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from scalebed.checks.calibration.calibrate import SCHEMES

Row = dict[str, Any]

FEW: Final = 20
TOO_SMALL: Final = (
    "too small to calibrate: no law was fitted, or no measured cell is left to predict"
)


def lines(rows: Sequence[Row], every: bool = False) -> Iterator[str]:
    """Tables by scheme, response and data set; lengths in % of the loss, or in error points.

    Parameters
    ----------
    rows : sequence of dict
        Rows of table ``calibration``.
    every : bool
        Whether each data set has a table, where there are several, or only all together.
    """
    several = len({row["dataset"] for row in rows}) > 1
    last = None
    for row in rows:
        if several and not every and row["dataset"] != "all":
            continue
        key = row["scheme"], row["response"], row["dataset"]
        if key != last:
            unit = "% of the loss" if row["kind"] == "loss" else "points of error"
            yield ""
            yield f"{', '.join(key)}: nominal {row['level']:.0%}, lengths in {unit}"
            yield f"  {'method':12} {'coverage':>14} {'width':>7} {'mean':>7} {'score':>7}  status"
            last = key
        mark = "*" if row["chosen"] else " "
        yield (
            f"{mark} {row['method']:12} {row['coverage']:7.1%} ±{row['coverage_error']:5.1%} "
            f"{100 * row['width']:7.2f} {100 * row['width_mean']:7.2f} "
            f"{100 * row['winkler']:7.2f}  {row['status']}"
        )


def remarks(rows: Sequence[Row]) -> list[str]:
    """Sentences about what the rows cannot show."""
    said = []
    for scheme in SCHEMES:
        cells = [row["cells"] for row in rows if row["scheme"] == scheme and row["kind"] == "loss"]
        if not cells:
            said.append(f"{scheme}: nothing to measure, no cell is left to predict")
        elif scheme != "simulation" and max(cells) < FEW:
            said.append(
                f"{scheme}: {max(cells)} cells are too few to judge an interval by; their coverage "
                f"is uncertain by {np.sqrt(0.09 / max(cells)):.0%}"
            )
    return said
