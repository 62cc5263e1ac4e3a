"""What a contrast says in words, and what has to be known about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from scalebed.checks.contrasts.laws import Side
from scalebed.checks.contrasts.table import parted
from scalebed.predict.runs import Runs

Row = dict[str, Any]

_SAME = 1.03


def _designs(runs: Runs) -> set[tuple[int, int]]:
    """Fit cells by N and M, rounded so that whole steps do not matter."""
    used = runs.fit_loss
    sizes, ratios = runs.params[used], runs.tokens[used] / runs.params[used]
    keys = np.round(np.log(np.stack([sizes, ratios])) / np.log(_SAME) / 2).astype(int)
    return {(int(n), int(m)) for n, m in keys.T}


def notes(one: Side, two: Side, row: Row) -> list[str]:
    """Say what a reader has to know before believing the comparison."""
    found = []
    if _designs(one.runs) != _designs(two.runs):
        found.append("the two laws are fitted to different designs, whose bias may differ")
    for side in (one, two):
        for fit in filter(None, (side.loss, side.error)):
            if fit.verdict.startswith("numbers: doubtful"):
                found.append(f"{side.runs.dataset}, {fit.law.name}: {fit.verdict}")
    if row["reach"] > 1:
        found.append(f"the target has {row['reach']:.3g} times the compute of the largest fit run")
    if row["matched"]:
        found.append(
            f"{row['matched']} runs are alike in N, D and seed, by which the two predictions "
            f"correlate by {row['correlation']:.2f}"
        )
    if row["draws"] == 0:
        found.append("no draws, so no interval and no probability")
    elif row["p_better"] in (0.0, 1.0):
        found.append(f"a probability of 0 or 1 means less than 1 in {row['draws']} draws")
    return found


def sentence(row: Row) -> str:
    """Say in words what a row of table ``contrasts`` holds."""
    a, b, what = row["a"], row["b"], row["response"]
    better = row["predicted_a"] < row["predicted_b"]
    unit = " nats" if row["kind"] == "loss" else ""
    text = (
        f"At N {row['params']:.3g}, D {row['tokens']:.3g} the {row['kind']} on {what} is "
        f"{row['predicted_a']:.4f}{unit} for {a} and {row['predicted_b']:.4f}{unit} for {b}"
    )
    if row["p_better"] is None:
        return f"{text}; nothing is known of how certain that is."
    certain = _probability(row["p_better"], row["draws"])
    text += f"; P({a} better) {'' if certain[0] in '<>' else '= '}{certain}"
    if row["p_better_run"] is not None:
        text += f" ({_probability(row['p_better_run'], row['draws'])} for a single pair of runs)"
    text += f". For what {a} reaches {b} needs {_times(row['multiplier'])} the compute"
    limits = f"{_times(row['multiplier_lower'])} .. {_times(row['multiplier_upper'])}"
    text += f" ({row['level']:.0%} interval {limits})."
    tail = (1 - row["level"]) / 2
    share = row["p_better"] if better else 1 - row["p_better"]
    return (
        text
        if share > 1 - tail + 1e-12
        else f"{text} Which of the two is better is not established."
    )


def _probability(value: float, draws: int) -> str:
    if value in (0.0, 1.0):
        return f"< {1 / draws:.2g}" if value == 0 else f"> {1 - 1 / draws:.6g}"
    return f"{value:.3g}"


def _times(value: float | None) -> str:
    if value is None:
        return "an unknown multiple of"
    return "more than 1e10 x" if np.isinf(value) else f"{value:.3g} x"


def lines(study: str, rows: Sequence[Row]) -> Iterator[str]:
    """Sentences of all rows, then each note once."""
    if not rows:
        yield f"study {study} has no pair of data sets to compare at a target"
    yield from (row["sentence"] for row in rows)
    for note in dict.fromkeys(note for row in rows for note in parted(row["notes"])):
        yield f"note: {note}"
