"""What would you train? The first section of the report."""

from __future__ import annotations

from typing import Any

from scalebed.core.quantities import amount_text, between
from scalebed.tables.reader import StudyDatabase

TEMPLATE = "section.html.j2"
ANCHOR, LINK = "decisions", "What to train"
FIRST = True
"""It stands before all else: it is what a study is for."""
_SHOWN = 10.0
"""Compute over the largest run's that the page shows; the figure has the others."""
_QUERY = """
SELECT * FROM decisions
WHERE abs(times_largest / ? - 1) < 0.01
ORDER BY dataset, choice = 'optimum' DESC, choice, params
"""


def rows(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return one entry a data set: its choices at one compute, and which sizes cost little."""
    found: dict[str, dict[str, Any]] = {}
    for row in study.rows(_QUERY, (_SHOWN,)):
        entry = found.setdefault(
            row["dataset"], {"dataset": row["dataset"], "choices": [], "sizes": []}
        )
        entry["sizes" if row["choice"] == "size" else "choices"].append(row)
    for entry in found.values():
        entry["wrong"] = _wrong(entry["sizes"])
        for row in entry["choices"]:
            for name in ("params", "tokens"):
                limits = (row[f"{name}_lower"], row[f"{name}_upper"])
                row[f"{name}_text"] = between(row[name], limits)
    return [entry for entry in found.values() if entry["choices"]]


def said(rows: list[dict[str, Any]]) -> str:
    """Say the best run of every data set."""
    runs = []
    for entry in rows:
        for row in entry["choices"]:
            if row["choice"] == "optimum":
                best = row["tokens"] / row["params"]
                runs.append(f"{row['dataset']} N {row['params_text']}, M* = {best:.3g}")
    compute = f"With {_SHOWN:.0f} times the compute of the largest fitted run"
    if not runs:
        return f"{compute} no run is known to be best."
    # A best size alone would look as certain as the law, and its valley is flat.
    return f"{compute}, in brackets what the draws leave open: {'; '.join(runs)}."


def _wrong(sizes: list[dict[str, Any]]) -> str:
    """Say which sizes cost little in most draws."""
    if not sizes:
        return ""
    good = [row["params"] for row in sizes if row["share_small"] >= 0.9]
    if good:
        low, high = amount_text(min(good)), amount_text(max(good))
        return f"N from {low} to {high} wastes under 1 % of the compute in nine of ten draws."
    safest = min(sizes, key=lambda row: row["regret_most"])
    return (
        f"No N wastes under 1 % of the compute in nine of ten draws; the safest, "
        f"{amount_text(safest['params'])}, wastes up to {safest['regret_most']:.0%}."
    )
