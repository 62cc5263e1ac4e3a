"""Compare two data sets at a run: which is better, and how much compute the other one lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from scalebed.checks.contrasts.joint import Joined, cells, joined
from scalebed.checks.contrasts.laws import (
    Frames,
    Side,
    find_runs,
    fitted,
    study_tables,
)
from scalebed.checks.contrasts.multiplier import multiplier
from scalebed.checks.contrasts.table import TABLE, listed
from scalebed.checks.contrasts.text import notes, sentence
from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array
from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import AVERAGE, Runs
from scalebed.predict.scatter import stream

Row = dict[str, Any]

_SAME = 1.03


@dataclass(frozen=True)
class Target:
    """The run at which two data sets are compared: N and D."""

    params: float
    tokens: float


def contrast(
    study: StudyFit,
    a: str,
    b: str,
    target: Target,
    response: str | None = None,
    frames: Frames | None = None,
    other: StudyFit | None = None,
) -> Row:
    """Compare two data sets of a study at a run.

    Parameters
    ----------
    study : StudyFit
    a, b : str
        Names of data sets.
    target : Target
    response : str, optional
        A validation set, or a task or average; the study's validation set by default.
    frames : Frames, optional
        From `scalebed.checks.contrasts.laws.study_tables`, when several contrasts are made.
    other : StudyFit, optional
        Study that b comes from, such as the one with another recipe; the same by default.

    Returns
    -------
    dict
        A row of table ``contrasts``, see `scalebed.checks.contrasts.table`. ``multiplier`` is how
        many times the target's compute data set b needs, at the same M, for what a reaches with
        it; ``p_better`` is the share of draws in which a is better.

    Raises
    ------
    ScalebedError
        If there is no such data set or response, or a and b are the same.
    """
    if a == b and other is None:
        raise ScalebedError(f"data set {a!r} is to be compared with itself, expected two")
    if not (0 < target.params < np.inf and 0 < target.tokens < np.inf):
        raise ScalebedError("a target needs finite N and D above 0")
    second = other or study
    runs = find_runs(study, a), find_runs(second, b)
    response = response or study.settings.loss
    kind = _kind(study, response)
    frames = study_tables(study, _needed(study, [response])) if frames is None else frames
    both = frames, frames
    if other is not None:
        if _kind(other, response) != kind:
            raise ScalebedError(f"{response!r} is a loss in one study and an error in the other")
        both = frames, study_tables(other, _needed(other, [response]))
        a, b = f"{a} ({study.name})", f"{b} ({other.name})"
    level = study.settings.level
    row: Row = dict.fromkeys(TABLE.names) | {
        "a": a,
        "b": b,
        "kind": kind,
        "response": response,
        "params": target.params,
        "tokens": target.tokens,
        "flops": 6 * target.params * target.tokens,
        "level": level,
        "draws": 0,
        "status": "refused",
    }
    sides = [
        _side(where, tables, each, kind, response)
        for where, tables, each in zip((study, second), both, runs, strict=True)
    ]
    reasons = [side for side in sides if isinstance(side, str)]
    if reasons:
        said = "; ".join(reasons)
        told = f"{a} and {b} cannot be compared: {said}."
        return row | {"notes": listed(reasons), "sentence": told}
    one, two = (side for side in sides if isinstance(side, Side))
    if other is not None:
        # Draws of one data set have one stream in every study, but these are other runs.
        one, two = one.named(a), two.shuffled(stream(study.settings.seed, "other", b)).named(b)
    row |= _numbers(one, two, row, study.settings.seed)
    row |= {"status": "compared", "notes": listed(notes(one, two, row))}
    return row | {"sentence": sentence(row)}


def contrast_all(
    study: StudyFit,
    pairs: Sequence[tuple[str, str]] | None = None,
    targets: Sequence[Target] | None = None,
    responses: Sequence[str] | None = None,
    other: StudyFit | None = None,
) -> list[Row]:
    """Compare data sets at several runs.

    Parameters
    ----------
    study : StudyFit
    pairs : sequence of (str, str), optional
        Every pair of data sets by default; with `other` each data set that both studies have.
    targets : sequence of Target, optional
        Every target of the study by default.
    responses : sequence of str, optional
        The study's validation set and its task averages by default.
    other : StudyFit, optional
        Study that the second of a pair comes from.

    Returns
    -------
    list of dict
        Rows of table ``contrasts``, see `scalebed.checks.contrasts.table`.
    """
    errors = {key for runs in study.runs for key in runs.errors}
    averages = [name for name in (AVERAGE, *study.settings.averages) if name in errors]
    responses = responses or (study.settings.loss, *averages)
    frames = study_tables(study, _needed(study, responses))
    names = [runs.dataset for runs in study.runs]
    usual = list(combinations(names, 2))
    if other is not None:
        usual = [(name, name) for name in names if name in {r.dataset for r in other.runs}]
    return [
        contrast(study, a, b, target, response, frames, other)
        for a, b in pairs or usual
        for target in targets or _targets(study)
        for response in responses
    ]


def _targets(study: StudyFit) -> list[Target]:
    """Return the distinct runs that the study predicts."""
    found = sorted(
        (float(params), float(tokens))
        for runs in study.runs
        for params, tokens in zip(runs.params[runs.target], runs.tokens[runs.target], strict=True)
    )
    targets: list[Target] = []
    for params, tokens in found:
        last = targets[-1] if targets else Target(0.0, 0.0)
        if params > last.params * _SAME or tokens > last.tokens * _SAME:
            targets.append(Target(params, tokens))
    return targets


def _needed(study: StudyFit, responses: Sequence[str]) -> list[str]:
    """Return the responses and the loss their error laws take."""
    return list(dict.fromkeys((study.settings.loss, *responses)))


def _kind(study: StudyFit, response: str) -> str:
    if any(response in runs.losses for runs in study.runs):
        return "loss"
    if any(response in runs.errors for runs in study.runs):
        return "error"
    known = sorted({name for runs in study.runs for name in (*runs.losses, *runs.errors)})
    raise ScalebedError(
        f"study {study.name} has no validation set, task or average {response!r}, "
        f"expected one of {', '.join(known)}"
    )


def _side(study: StudyFit, frames: Frames, runs: Runs, kind: str, response: str) -> Side | str:
    name = response if kind == "loss" else study.settings.loss
    loss = fitted(frames, runs, "loss", name)
    if isinstance(loss, str):
        return loss
    known = cells(study, frames, runs, "loss", loss, name)
    if kind == "loss":
        return Side(runs, response, loss, None, (known,))
    error = fitted(frames, runs, "error", response)
    if isinstance(error, str):
        return error
    both = known, cells(study, frames, runs, "error", error, response)
    count = min(len(loss.theta), len(error.theta)) - 1
    return Side(runs, response, loss, error, both).first(count)


def _numbers(one: Side, two: Side, row: Row, seed: int) -> Row:
    """Point, interval and probabilities."""
    count = min(len(one.last.theta), len(two.last.theta)) - 1
    one, two = one.first(count), two.first(count)
    ratio, start = row["tokens"] / row["params"], np.full(1 + count, row["flops"])
    first, second = (side.values(start, ratio) for side in (one, two))
    found: Row = {
        "predicted_a": float(first[0]),
        "predicted_b": float(second[0]),
        "difference": float(second[0] - first[0]),
        "draws": count,
        "reach": row["flops"] / min(_largest(side) for side in (one, two)),
    }
    if not count:
        return found | {"multiplier": _known(multiplier(two, first, row["flops"], ratio)[0])}
    pair = joined(one, two, (first[1:], second[1:]), seed)
    return found | _drawn(pair, row, seed, first, pair.two.values(start, ratio))


def _drawn(pair: Joined, row: Row, seed: int, first: Array, second: Array) -> Row:
    """Intervals and probabilities of draws that belong together."""
    tails = ((1 - row["level"]) / 2, (1 + row["level"]) / 2)
    ratio, draws = row["tokens"] / row["params"], (second - first)[1:]
    factor = multiplier(pair.two, first, row["flops"], ratio)
    limits = np.quantile(draws, tails)
    # Infinite draws allow no interpolation between neighbours.
    factors = np.quantile(factor[1:], tails, method="inverted_cdf")
    found: Row = {
        "difference_lower": float(limits[0]),
        "difference_upper": float(limits[1]),
        "p_better": _share(draws),
        "multiplier": _known(factor[0]),
        "multiplier_lower": _known(factors[0]),
        "multiplier_upper": _known(factors[1]),
        "matched": pair.matched,
        "correlation": pair.correlation,
    }
    one, two = (_scatter(side, at) for side, at in ((pair.one, first), (pair.two, second)))
    if one is None or two is None:
        return found
    normal = [_normal(side, seed, row, draws.size) for side in (pair.one, pair.two)]
    # Two new runs are alike, as those that were fitted.
    other = pair.runs * normal[0] + np.sqrt(1 - pair.runs**2) * normal[1]
    return found | {"p_better_run": _share(draws + two * other - one * normal[0])}


def _share(draws: Array) -> float:
    """Share of draws in which a is better; of ties half."""
    return float(np.mean(draws > 0) + np.mean(draws == 0) / 2)


def _scatter(side: Side, values: Array) -> Array | float | None:
    """Return how far single runs lie from the law in every draw; None if it is not known."""
    if not np.isfinite(side.last.sigma):
        return None
    return side.last.sigma * (values[1:] if side.error is None else 1.0)


def _normal(side: Side, seed: int, row: Row, count: int) -> Array:
    names = ("contrast", side.runs.dataset, row["response"])
    return stream(seed, *names).standard_normal(count)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _largest(side: Side) -> float:
    """Compute of the largest run that the laws were fitted to."""
    used = side.runs.fit_loss if side.error is None else side.runs.fit_loss | side.runs.fit_error
    return float(np.max(side.runs.flops[used], initial=0.0)) or np.nan
