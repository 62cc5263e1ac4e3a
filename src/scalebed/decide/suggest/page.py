"""A suggestion in words, as rows of a table or a grid, and as a record for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from scalebed.core.quantities import amount_text
from scalebed.core.yaml_text import parse_yaml
from scalebed.decide.costs import Prices
from scalebed.decide.repetition import repetition_of
from scalebed.decide.suggest.designs import Run
from scalebed.decide.suggest.suggestion import Suggested, Suggestion
from scalebed.laws.forms.base import Array

_NEW = "  # a new size, to be declared under sizes"


def lines(
    found: Suggestion,
    prices: Prices,
    sizes: Mapping[str, float] | None = None,
    recipe: str | None = None,
) -> Iterator[str]:
    """Yield the suggestion.

    Parameters
    ----------
    found : Suggestion
    prices : Prices
    sizes : mapping of str to float, optional
        N of the sizes of a study by name; the rows are then those of its grid.
    recipe : str, optional
        Recipe of the study's runs, if they have one.
    """
    curve = found.curve
    yield f"{curve.source}, {curve.dataset}: {curve.law.formula}"
    for run, loss, width in zip(found.wanted.targets, found.losses, found.widths, strict=True):
        yield (
            f"  target {_name(run)}: {loss:.4f}, the law is known to +- {_percent(width)} "
            f"({curve.level:.0%})"
        )
    repetition = repetition_of(curve, found.wanted.limits.unique_tokens)
    if repetition is not None:
        yield f"  {repetition.words}"
    yield f"  {_counted(found)}"
    if found.steps:
        hours = prices.device and f" {'GPU-hours':>10}"
        yield ""
        yield f"  {'N':>8} {'D':>8} {'M':>7} {'FLOPs':>9}{hours or ''}  half-width"
    before = found.widths
    for step in found.steps:
        yield f"  {_row(step, before, prices)}{_trunk(step, found)}"
        before = step.widths
    yield ""
    yield _verdict(found)
    yield (
        f"A single run scatters about the law by +- {_percent(found.scatter)} besides, however "
        "well the law is known."
    )
    if found.steps:
        yield ""
        yield from (grid_rows(found, sizes, recipe) if sizes is not None else table_rows(found))


def _row(step: Suggested, before: Array, prices: Prices) -> str:
    run, hours = step.run, prices.hours(step.cost)
    cost = f"{step.cost:9.3g}" + ("" if hours is None else f" {hours:10.3g}")
    pairs = zip(before, step.widths, strict=True)
    widths = ", ".join(f"{_percent(old)} -> {_percent(new)}" for old, new in pairs)
    text = f"{amount_text(run.params):>8} {amount_text(run.tokens):>8} {run.multiplier:7.4g} {cost}"
    said = f"  {widths}" + (f"  (repeat {step.made})" if step.made else "")
    if run.unique_tokens < run.tokens * 0.999:
        said += f"  ({amount_text(run.unique_tokens)} unique tokens)"
    return text + said


def _trunk(step: Suggested, found: Suggestion) -> str:
    """Say whether a run goes on from a trunk, where runs do."""
    if found.wanted.cooldown is None:
        return ""
    return "  (from its trunk)" if step.branch else "  (a new trunk)"


def _counted(found: Suggestion) -> str:
    if len(found.counted) == 1:
        only = found.counted[0].law.name
        return f"law counted: {only}; no further one could be fitted and is about as good"
    said = ", ".join(f"{one.law.name} ({one.weight:.0%})" for one in found.counted)
    return f"laws counted, by how well they fit the runs: {said}"


def _verdict(found: Suggestion) -> str:
    """Say in one sentence what is reached, or why not."""
    until, worst = found.wanted.until, float(np.max(found.widths))
    if until is not None and not found.steps and found.reached:
        return f"The law is known to +- {_percent(worst)} there, no run is needed."
    if not found.steps:
        return "No candidate takes a hundredth off what is not known of the law there."
    after = float(np.max(found.steps[-1].widths))
    total = f"{len(found.steps)} runs of {found.cost:.3g} FLOPs together are"
    if len(found.steps) == 1:
        total = f"One run of {found.cost:.3g} FLOPs is"
    total += f" expected to narrow the law from +- {_percent(worst)} to +- {_percent(after)}"
    if until is None:
        return f"{total}."
    if found.reached:
        return f"{total}, the {_percent(until)} that are wanted."
    if len(found.steps) >= found.wanted.count:
        return f"{total}: {_percent(until)} cannot be reached with --count {found.wanted.count}."
    within = "this budget" if np.isfinite(found.wanted.budget) else "these candidates"
    return (
        f"{total}: {_percent(until)} cannot be reached within {within}, where no further run takes "
        "a hundredth off."
    )


def table_rows(found: Suggestion) -> Iterator[str]:
    """Yield rows of a plain table, with a header; the losses are still to be measured."""
    knows = any(step.run.unique_tokens < step.run.tokens * 0.999 for step in found.steps)
    yield "params,tokens,unique_tokens" if knows else "params,tokens"
    for step in found.steps:
        columns = step.run if knows else step.run[:2]
        yield ",".join(f"{value:.6g}" for value in columns)


def grid_rows(
    found: Suggestion, sizes: Mapping[str, float], recipe: str | None = None
) -> Iterator[str]:
    """Yield blocks of the grid of a study; a size it does not have yet is named by its N."""
    yield "grid:"
    dataset = _scalar(found.curve.dataset)
    for step in found.steps:
        params = step.run.params
        near = min(sizes, key=lambda name: abs(np.log(sizes[name] / params)), default=None)
        name, note = amount_text(params, 3).lower().replace(".", "_"), _NEW
        if near is not None and abs(np.log(sizes[near] / params)) < np.log(1.1):
            name, note = near, ""
        seed = f", recipes: [{_scalar(recipe)}]" if recipe else ""
        seed += f", seeds: [{step.made}]" if step.made else ""
        ratio = max(round(step.run.multiplier), 1)
        cell = f"datasets: [{dataset}], sizes: [{_scalar(name)}], ratios: [{ratio}]{seed}"
        yield f"  - {{{cell}}}{note}"


def record(found: Suggestion, prices: Prices, recipe: str | None = None) -> dict[str, Any]:
    """Return the same as built-in values."""
    curve = found.curve
    return {
        "schema": "scalebed.suggestion",
        "version": 1,
        "source": curve.source,
        "dataset": curve.dataset,
        "level": curve.level,
        "laws": [{"law": one.law.name, "weight": one.weight} for one in found.counted],
        "targets": [
            run._asdict() | {"loss": float(loss), "half_width": float(width)}
            for run, loss, width in zip(
                found.wanted.targets, found.losses, found.widths, strict=True
            )
        ],
        "recipe": recipe,
        "cooldown": found.wanted.cooldown,
        "run_half_width": found.scatter,
        "until": found.wanted.until,
        "reached": found.reached if found.wanted.until is not None else None,
        "flops": found.cost,
        "runs": [
            step.run._asdict()
            | {"multiplier": step.run.multiplier, "flops": step.cost, "repeat": step.made}
            | {"trunk": None if found.wanted.cooldown is None else step.branch}
            | {"gpu_hours": prices.hours(step.cost), "half_widths": step.widths.tolist()}
            for step in found.steps
        ],
        "verdict": _verdict(found),
    }


def _name(run: Run) -> str:
    text = f"N {amount_text(run.params)}, D {amount_text(run.tokens)} (M {run.multiplier:.3g})"
    if run.unique_tokens < run.tokens * 0.999:
        text += f", {amount_text(run.unique_tokens)} unique"
    return text


def _scalar(name: str) -> str:
    """Return a name as YAML, in quotes where it is more or something else than a word."""
    # YAML reads y and n as words, other readers of it do not.
    plain = re.fullmatch(r"\d*[A-Za-z]\w*", name, re.ASCII) and name.lower() not in ("y", "n")
    return name if plain and parse_yaml(name) == name else json.dumps(name)


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"
