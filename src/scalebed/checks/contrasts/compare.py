"""Compare two data sets at a run: which is better, and how much compute the other one lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from scalebed.checks.contrasts.laws import (
    Fitted,
    Frames,
    Side,
    find_runs,
    fitted,
    study_tables,
)
from scalebed.checks.contrasts.table import TABLE
from scalebed.checks.contrasts.text import notes, sentence
from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array
from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import AVERAGE, Runs
from scalebed.predict.scatter import stream

Row = dict[str, Any]

# The other data set's compute is sought within this factor, in log units: 10 decades each way.
_REACH = 10 * np.log(10)
_HALVINGS = 60
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
        return row | {"notes": said, "sentence": f"{a} and {b} cannot be compared: {said}."}
    one, two = (side for side in sides if isinstance(side, Side))
    if other is not None:
        # Draws of one data set have one stream in every study, but these are other runs.
        one, two = one.named(a), two.shuffled(stream(study.settings.seed, "other", b)).named(b)
    row |= _numbers(one, two, row, study.settings.seed)
    row |= {"status": "compared", "notes": "; ".join(notes(one, two, row))}
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
    if kind == "loss":
        return Side(runs, loss, None)
    error = fitted(frames, runs, "error", response)
    if isinstance(error, str):
        return error
    count = min(len(loss.theta), len(error.theta))
    short = [Fitted(f.law, f.theta[:count], f.sigma, f.verdict, f.chance) for f in (loss, error)]
    return Side(runs, *short)


def _numbers(one: Side, two: Side, row: Row, seed: int) -> Row:
    """Point, interval and probabilities; draws of two data sets are independent of each other."""
    count = min(len(one.last.theta), len(two.last.theta))
    ratio = row["tokens"] / row["params"]
    start = [np.full(len(side.last.theta), row["flops"]) for side in (one, two)]
    first, second = one.values(start[0], ratio), two.values(start[1], ratio)
    rest = second[:count] - first[:count]
    factor = _multiplier(two, first, row["flops"], ratio)[:count]
    tails = ((1 - row["level"]) / 2, (1 + row["level"]) / 2)
    found: Row = {
        "predicted_a": float(first[0]),
        "predicted_b": float(second[0]),
        "difference": float(rest[0]),
        "multiplier": _known(factor[0]),
        "draws": count - 1,
        "reach": row["flops"] / min(_largest(side) for side in (one, two)),
    }
    if count < 2:
        return found
    draws = rest[1:]
    limits = np.quantile(draws, tails)
    # Infinite draws allow no interpolation between neighbours.
    factors = np.quantile(factor[1:], tails, method="inverted_cdf")
    found |= {
        "difference_lower": float(limits[0]),
        "difference_upper": float(limits[1]),
        "p_better": _share(draws),
        "multiplier_lower": _known(factors[0]),
        "multiplier_upper": _known(factors[1]),
    }
    scatter = [_scatter(side, value, seed, row) for side, value in ((one, first), (two, second))]
    if all(found is not None for found in scatter):
        found["p_better_run"] = _share(draws + scatter[1][: count - 1] - scatter[0][: count - 1])
    return found


def _share(draws: Array) -> float:
    """Share of draws in which a is better; of ties half."""
    return float(np.mean(draws > 0) + np.mean(draws == 0) / 2)


def _scatter(side: Side, values: Array, seed: int, row: Row) -> Any:
    """Deviation of a single run from the law in every draw; None if it is not known."""
    if not np.isfinite(side.last.sigma):
        return None
    names = ("contrast", side.runs.dataset, row["response"])
    noise = stream(seed, *names).standard_normal(values.size - 1) * side.last.sigma
    return noise * values[1:] if side.error is None else noise


def _multiplier(side: Side, wanted: Array, flops: float, ratio: float) -> Array:
    """Compute at which a side reaches what is wanted, over `flops`, by bisection in log C.

    Infinite where it never does within ten decades, 0 where it does so with ten decades less.
    """
    count = min(len(side.last.theta), wanted.size)
    short = Side(side.runs, _cut(side.loss, count), side.error and _cut(side.error, count))
    wanted = wanted[:count]
    low, high = np.full(count, -_REACH), np.full(count, _REACH)
    never = short.values(flops * np.exp(high), ratio) > wanted
    always = short.values(flops * np.exp(low), ratio) <= wanted
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = short.values(flops * np.exp(middle), ratio) > wanted
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    found: Array = np.where(never, np.inf, np.where(always, 0.0, np.exp((low + high) / 2)))
    return found


def _cut(fit: Fitted, count: int) -> Fitted:
    return Fitted(fit.law, fit.theta[:count], fit.sigma, fit.verdict, fit.chance)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _largest(side: Side) -> float:
    """Compute of the largest run that the laws were fitted to."""
    used = side.runs.fit_loss if side.error is None else side.runs.fit_loss | side.runs.fit_error
    return float(np.max(side.runs.flops[used], initial=0.0)) or np.nan
