"""Predictions of runs in words, and as records for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from scalebed.core.quantities import run_text
from scalebed.decide.curve import Curve
from scalebed.decide.page import outcome_text
from scalebed.decide.record import outcome_record
from scalebed.decide.repetition import as_if_new
from scalebed.predict.table_runs import Target


def lines(curve: Curve, targets: Sequence[Target]) -> Iterator[str]:
    """Yield what runs of one data set would give."""
    yield f"{curve.source}, {curve.dataset}: {curve.law.formula}"
    for target, outcomes in zip(targets, curve.outcomes(targets), strict=True):
        times = curve.times_largest(_flops(target))
        far = "" if times is None else f", {times:.3g} x the largest compute of the data"
        named = (target.params, target.tokens, target.unique_tokens)
        yield f"  {run_text(*named)}{far}"
        said = as_if_new(curve, target.tokens, target.unique_tokens)
        if said is not None:
            yield f"    note: {said}"
        for outcome in outcomes:
            yield f"    {outcome_text(outcome)}"
            if outcome.lower is not None:
                yield f"      contains: {outcome.contains}"
            yield f"      numbers: {outcome.numbers}"
            if outcome.evidence:
                yield f"      evidence: {outcome.evidence}"


def record(curve: Curve, targets: Sequence[Target]) -> dict[str, Any]:
    """Return the same as built-in values."""
    return {
        "schema": "scalebed.predictions",
        "version": 1,
        "source": curve.source,
        "dataset": curve.dataset,
        "law": f"{curve.law.name}@{curve.law.version}",
        "level": curve.level,
        "predictions": [
            outcome_record(outcome)
            | {
                "times_largest_run": curve.times_largest(_flops(target)),
                "note": as_if_new(curve, target.tokens, target.unique_tokens),
            }
            for target, outcomes in zip(targets, curve.outcomes(targets), strict=True)
            for outcome in outcomes
        ],
    }


def _flops(target: Target) -> float:
    return 6 * target.params * target.tokens
