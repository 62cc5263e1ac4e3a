"""Approach 2 beside approach 3 in words, and as one JSON object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scalebed.core.quantities import amount_text, between
from scalebed.decide.curve import Curve
from scalebed.decide.isoflop.approaches import (
    Ahead,
    AtBudget,
    Best,
    Bias,
    Exponents,
    IsoFlop,
    Range,
)
from scalebed.predict.words import verdict

_FEW = 4


def lines(found: IsoFlop, curve: Curve, tolerance: float) -> list[str]:
    """Say what both approaches find: budget by budget, the exponents, what is ahead, the bias."""
    return [
        f"{curve.source}, {curve.dataset}, {curve.response}: {curve.params.size} runs, "
        f"{_count(len(found.budgets), 'budget')} with a minimum, runs within {100 * tolerance:g} % "
        f"of a budget, {found.left} in none.",
        "",
        *map(_budget, found.budgets),
        *(
            f"C {one.flops:.3g} is set aside: {one.reason} ({_count(one.runs, 'run')})."
            for one in found.aside
        ),
        "",
        *_exponents(found.exponents, found),
        *map(_ahead, found.ahead),
        "",
        *_bias(found, curve),
        *_rests(found, curve),
    ]


def _budget(one: AtBudget) -> str:
    return (
        f"C {one.flops:.3g}, {_count(one.runs, 'run')} of N {amount_text(one.least)} .. "
        f"{amount_text(one.most)}: approach 2 {_best(one.parabola)}; approach 3 {_best(one.law)}."
    )


def _exponents(found: Exponents | None, whole: IsoFlop) -> Iterator[str]:
    if found is None:
        yield "No exponent: it takes two budgets with a minimum."
        return
    yield (
        f"Exponent a of N* ~ C^a: approach 2 {_range(found.parabola, '.3f')} from "
        f"{len(whole.budgets)} budgets; approach 3 {_range(found.law, '.3f')}."
    )


def _ahead(one: Ahead) -> str:
    return (
        f"At C {one.flops:.3g}, {one.times:.3g} times the largest budget: approach 2 "
        f"{_best(one.parabola)}; approach 3 {_best(one.law)}."
    )


def _bias(found: IsoFlop, curve: Curve) -> Iterator[str]:
    rows: list[AtBudget | Ahead] = [*found.budgets, *found.ahead]
    if not rows:
        return
    words = "; ".join(f"C {one.flops:.3g} {_off(one.bias)}" for one in rows)
    yield (
        f"Bias of approach 2 on these runs, from noise-free losses of the fitted law "
        f"({curve.law.name}): {words}."
    )
    if found.exponents is not None and found.exponents.bias is not None:
        # The sum keeps a rounded zero from being negative.
        yield f"Its exponent is off by {round(found.exponents.bias, 4) + 0.0:+.4f}."


def _off(bias: Bias | None) -> str:
    if bias is None:
        return "unknown, these losses have no minimum there"
    return f"N* {100 * bias.params:+.2f} %, D* {100 * bias.tokens:+.2f} %"


def _rests(found: IsoFlop, curve: Curve) -> Iterator[str]:
    if found.scatter is None:
        why = "three runs a budget fix their parabola exactly"
        if found.together:
            why = "without checkpoints and repeats its parabolas leave no run to show a scatter"
        yield f"Approach 2 has no interval: {why}."
    else:
        few = ", which are few" if found.freedom < _FEW else ""
        if found.together:
            few += f" ({_count(found.together, 'row')} of runs or designs counted already)"
        yield (
            f"Intervals hold {100 * found.level:g} %; those of approach 2 rest on a scatter of "
            f"{100 * found.scatter:.2g} % about the parabolas, with "
            f"{_count(found.freedom, 'degree')} of freedom{few}, and contain no bias."
        )
    if curve.params.size and (curve.tokens > curve.unique_tokens * (1 + 1e-6)).any():
        yield "Some runs repeat their data, which neither approach 2 nor its N* knows."
    if curve.evidence is not None:
        yield f"Law of approach 3: {verdict(curve.numbers, curve.evidence.words)}."


def _best(best: Best) -> str:
    params, tokens = (
        between(one.value, (one.lower, one.upper)) for one in (best.params, best.tokens)
    )
    return f"N* {params}, D* {tokens}"


def _range(one: Range, form: str) -> str:
    if one.lower is None or one.upper is None:
        return format(one.value, form)
    return f"{one.value:{form}} ({one.lower:{form}} .. {one.upper:{form}})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def record(found: IsoFlop, curve: Curve, tolerance: float) -> dict[str, Any]:
    """Return the same as one JSON object, see docs/isoflop.md."""
    return {
        "schema": "scalebed.isoflop",
        "version": 1,
        "source": curve.source,
        "dataset": curve.dataset,
        "response": curve.response,
        "law": curve.law.name,
        "numbers": curve.numbers,
        "evidence": None if curve.evidence is None else curve.evidence.words,
        "tolerance": tolerance,
        **_plain(found),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if hasattr(value, "_asdict"):
        return {key: _plain(one) for key, one in value._asdict().items()}
    return value
