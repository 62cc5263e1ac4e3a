"""Seal a prediction before the run is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import scalebed
from scalebed.core.errors import ScalebedError
from scalebed.core.imports import code_digest
from scalebed.core.shown import in_markdown
from scalebed.decide.curve import Curve, Outcome
from scalebed.decide.repetition import as_if_new
from scalebed.laws.forms.base import names
from scalebed.predict.table_runs import Target
from scalebed.predict.words import FOUND, missed
from scalebed.watch.dates import moment
from scalebed.watch.seals import (
    SCHEMA,
    VERSION,
    Record,
    despite,
    interval_text,
    numbers_digest,
    seal_digest,
    target_text,
)

CODE: Final = "scalebed.decide.sources"
"""The module whose reach is what computed the prediction."""
ASSUMED: Final = (
    "the run is trained like the runs the law was fitted to: data, tokenizer, architecture, shape "
    "of the learning-rate schedule scaled to the length of the run, and tuning",
    "the loss is measured as theirs was, at the end of the schedule",
)


def make_seal(
    curve: Curve,
    target: Target,
    *,
    response: str | None = None,
    note: str | None = None,
    date: str | None = None,
    anyway: bool = False,
) -> Record:
    """Return a sealed prediction.

    Parameters
    ----------
    curve : Curve
    target : Target
    response : str, optional
        Column, validation set or task; the loss if None.
    note : str, optional
        Words of the person who seals.
    date : str, optional
        ISO 8601; now if None.
    anyway : bool
        Whether to seal what numbers or evidence speak against; the seal says so.

    Raises
    ------
    ScalebedError
        If there is no interval, or it is spoken against.
    """
    outcome = _outcome(curve, target, response or curve.response)
    against = _against(outcome)
    if against and not anyway:
        raise ScalebedError(
            f"nothing is sealed, as {'; '.join(against)} (--despite-evidence seals it, and says so)"
        )
    record: Record = {
        "schema": SCHEMA,
        "version": VERSION,
        "scalebed": scalebed.__version__,
        "date": moment(date),
        "note": note,
        "target": {
            "params": target.params,
            "tokens": target.tokens,
            "unique_tokens": target.unique_tokens,
        },
        "prediction": _prediction(outcome, curve.level),
        "numbers": outcome.numbers,
        "evidence": outcome.evidence,
        "despite_evidence": against,
        "assumptions": list(_assumptions(curve, outcome, target)),
        "times_largest_run": curve.times_largest(6 * target.params * target.tokens),
    }
    record |= _rests_on(curve)
    return record | {"digest": seal_digest(record)}


def _prediction(outcome: Outcome, level: float) -> Record:
    return {
        "response": outcome.response,
        "kind": outcome.kind,
        "predicted": outcome.predicted,
        "lower": outcome.lower,
        "upper": outcome.upper,
        "level": level,
        "quantiles": list(outcome.quantiles or ()),
    }


def _rests_on(curve: Curve) -> Record:
    """Return source, law and rows of a curve, and the digests of what was computed."""
    rows = (curve.params, curve.tokens, curve.loss, curve.unique_tokens)
    keys = ("params", "tokens", "loss", "unique_tokens")
    shown = zip(*(column.tolist() for column in rows), strict=True)
    return {
        "source": curve.source,
        "dataset": curve.dataset,
        "law": {
            "name": f"{curve.law.name}@{curve.law.version}",
            "formula": curve.law.formula,
            "parameters": dict(
                zip(names(curve.law.parameters), curve.middle.tolist(), strict=True)
            ),
        },
        "rests_on": [dict(zip(keys, row, strict=True)) for row in shown],
        "digests": {
            "draws": numbers_digest([curve.theta]),
            "data": numbers_digest(rows),
            "code": code_digest(CODE),
        },
    }


def _outcome(curve: Curve, target: Target, response: str) -> Outcome:
    (outcomes,) = curve.outcomes([target])
    found = [outcome for outcome in outcomes if outcome.response == response]
    if not found:
        known = ", ".join(outcome.response for outcome in outcomes)
        raise ScalebedError(f"--response is {response!r}, expected one of {known}")
    (outcome,) = found
    if outcome.predicted is None:
        raise ScalebedError(f"there is no prediction to seal: {outcome.reason}")
    if outcome.quantiles is None:
        raise ScalebedError(f"there is no interval to seal: {outcome.contains}")
    return outcome


def _against(outcome: Outcome) -> list[str]:
    """Return what speaks against a prediction, verdict by verdict."""
    found = []
    if outcome.numbers != FOUND:
        found.append(f"the numbers are {outcome.numbers}")
    if missed(outcome.evidence):
        found.append(f"the evidence is {outcome.evidence}")
    return found


def _assumptions(curve: Curve, outcome: Outcome, target: Target) -> Iterator[str]:
    yield f"the interval contains: {outcome.contains}"
    yield from ASSUMED
    if target.unique_tokens is None or target.unique_tokens >= target.tokens:
        yield "no token is seen twice"
    else:
        yield f"the tokens are {target.unique_tokens:.6g} unique ones, repeated"
        said = as_if_new(curve, target.tokens, target.unique_tokens)
        if said is not None:
            yield said


def comment(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield Markdown to paste where the run is registered."""
    said, rows = record["prediction"], record["rests_on"]
    name = in_markdown(said["response"])
    what = name if said["kind"] == "error" else f"loss ({name})"
    yield f"**Sealed prediction** for {target_text(record)}, {in_markdown(record['dataset'])}"
    yield ""
    yield f"- {what}: **{interval_text(record)}**, {said['level']:.3g} prediction interval"
    source = in_markdown(record["source"])
    yield f"- law {record['law']['name']} on {len(rows)} runs of {source}" + _far(record)
    yield f"- numbers: {in_markdown(record['numbers'])}"
    if record["evidence"]:
        yield f"- evidence: {in_markdown(record['evidence'])}"
    for sentence in despite(record):
        yield f"- **{in_markdown(sentence)}**"
    for sentence in record["assumptions"][1:]:
        yield f"- assumed: {sentence}"
    if record["note"]:
        yield f"- note: {record['note']}"
    yield f"- sealed {record['date']}, SHA-256 `{record['digest']}`"


def _far(record: Mapping[str, Any]) -> str:
    times = record["times_largest_run"]
    return "" if times is None else f"; {times:.3g} x the largest compute among them"
