"""What a marked search cost, and the power laws of its kept and of its chosen configurations.

The end of the procedure of Figure 4 of arXiv 2403.08540; `scalebed.tables.imports.frontier` has its
beginning, the frontier and the filter.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalebed.laws.forms.base import Array
from scalebed.search.power import LAW, Bootstrap, fit_power
from scalebed.tables.imports.frontier import Row


def summarise(
    marked: Sequence[Row],
    targets: Mapping[str, float] | None = None,
    fit_flops: float | None = None,
    bootstrap: Bootstrap | None = None,
) -> dict[str, Any]:
    """Return what a marked search cost, and the laws of its kept and of its chosen points.

    Returns
    -------
    dict
        Numbers of configurations (``configurations``, ``frontier``, ``kept``, ``chosen``), the
        cost (``flops``, ``flops_ratio`` to `fit_flops`, or None) and ``fits``: a list of
        ``{"points": "kept" or "chosen", "count", "quantity", "value", "lower", "upper"}``.
        ``refused`` has the reason for each of ``kept`` and ``chosen`` that cannot be fitted.
    """
    total = float(sum(row["flops"] for row in marked))
    summary: dict[str, Any] = {"configurations": len(marked), "flops": total}
    summary |= {name: sum(row[name] for row in marked) for name in ("frontier", "kept", "chosen")}
    summary["flops_ratio"] = total / fit_flops if fit_flops else None
    summary |= {"fits": [], "refused": {}}
    for name in ("kept", "chosen"):
        flops, loss = _points(marked, name)
        if reason := LAW.refusal((flops,), loss):
            summary["refused"][name] = reason
            continue
        found = fit_power(flops, loss, dict(targets or {}), bootstrap or Bootstrap())
        summary["fits"] += [{"points": name, "count": summary[name], **one} for one in found]
    return summary


def _points(rows: Sequence[Row], flag: str) -> tuple[Array, Array]:
    """Return compute and loss of the configurations that have a flag."""
    points = [row for row in rows if row[flag]]
    return np.array([row["flops"] for row in points]), np.array([row["loss"] for row in points])
