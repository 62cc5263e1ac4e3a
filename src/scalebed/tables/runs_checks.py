"""Which numbers a table of runs may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array, Mask
from scalebed.tables.runs_names import NEEDED, Naming

_UNIQUE_TOLERANCE: Final = 1e-4


def checked(
    path: Path, naming: Naming, read: dict[str, Array], counts: Mask
) -> tuple[Naming, dict[str, Array]]:
    """Refuse impossible numbers; those of a guess take the guess back.

    Parameters
    ----------
    path
        The file.
    naming
        Which of its columns is what.
    read
        Numbers by key, (n,).
    counts
        Rows that count, (n,).

    Raises
    ------
    ScalebedError
        If a number cannot be.
    """
    some = np.ones_like(counts)
    checks: list[tuple[str, Mask, Mask, str]] = []
    for name in ("params", "tokens"):
        checks.append((name, (read[name] > 0) & np.isfinite(read[name]), counts, "above 0"))
    if "unique_tokens" in read:
        unique = read["unique_tokens"]
        fine = (unique > 0) & (unique <= read["tokens"] * (1 + _UNIQUE_TOLERANCE))
        checks.append(("unique_tokens", fine, counts, "above 0 and at most its tokens"))
    for name in sorted(name for name in read if name.split("_")[0] in ("error", "chance")):
        fine = np.isnan(read[name]) | ((read[name] >= 0) & (read[name] <= 1))
        checks.append((name, fine, some, "an error rate within 0 .. 1"))
    names = [name for name in read if name.split("_")[0] in ("stderr", "flops", "ratio")]
    for name in names:
        fine = np.isnan(read[name]) | ((read[name] >= 0) & np.isfinite(read[name]))
        checks.append((name, fine, some, "at least 0"))
    for name, fine, where, wanted in checks:
        if name in naming.guessed and name not in NEEDED and not (fine | ~where).all():
            naming = naming.without(name, f"not all of its numbers are {wanted}")
            read = {key: found for key, found in read.items() if key != name}
        else:
            column = naming.columns.get(name, name)
            _require(path, column, read[name], fine | ~where, wanted)
    return naming, read


def _require(path: Path, name: str, values: Array, fine: Mask, wanted: str) -> None:
    bad = np.flatnonzero(~fine)
    if bad.size:
        value = values[bad[0]]
        shown = "empty or NaN" if np.isnan(value) else f"{value:.6g}"
        raise ScalebedError(f"{path} row {bad[0] + 1}: {name} is {shown}, expected {wanted}")
