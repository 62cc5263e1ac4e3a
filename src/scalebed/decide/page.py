"""A decision in words, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scalebed.core.quantities import amount_text, between
from scalebed.decide.costs import Prices
from scalebed.decide.curve import Outcome
from scalebed.decide.decision import Decision
from scalebed.decide.question import Choice, Question
from scalebed.decide.regret import SMALL, Valley
from scalebed.decide.repetition import as_if_new

_HELD = 10.0
"""Times the largest compute up to which ranges were seen to hold (docs/decide.md)."""


def lines(decision: Decision, prices: Prices) -> list[str]:
    """Return the page.

    Parameters
    ----------
    decision : Decision
    prices : Prices
    """
    curve = decision.curve
    page = [f"{curve.source}, {curve.dataset}: {asked(decision.answer.question)}", ""]
    page += ["What to train", *_indented(_answer(decision.answer, prices))]
    page += ["What it gives", *_indented(_gives(decision))]
    page += ["How wrong you may be", *_indented(_wrong(decision))]
    page += ["The alternatives", *_indented(_table(decision))]
    page += [f"  no {name} run: {why}" for name, why in decision.refused.items()]
    page += ["What it rests on", *_indented(_rests(decision))]
    page += ["What to run next", *_indented(_next(decision, prices))]
    return page


def asked(question: Question) -> str:
    """Repeat the question, so that nobody reads the answer to another one."""
    words = []
    if question.loss is not None:
        words.append(f"the cheapest run of loss {question.loss:g}")
    elif question.lifetime:
        words.append(f"the best run whose training and serving cost {question.compute:.4g} FLOPs")
    elif question.demand:
        words.append(
            f"the cheapest run, trained and served, of the loss that {question.compute:.4g} "
            "training FLOPs give at their best"
        )
    else:
        words.append(f"the best run of {question.compute:.4g} training FLOPs")
    if question.demand:
        words.append(f"{amount_text(question.demand)} tokens served")
    if question.unique_tokens is not None:
        words.append(f"{amount_text(question.unique_tokens)} unique tokens")
    if np.isfinite(question.caps.params):
        words.append(f"N up to {amount_text(question.caps.params)}")
    if np.isfinite(question.caps.flops):
        words.append(f"up to {question.caps.flops:.3g} training FLOPs in the time there is")
    return ", ".join(words)


def _indented(sentences: Iterator[str] | list[str]) -> Iterator[str]:
    return (f"  {sentence}" for sentence in sentences)


def _answer(choice: Choice, prices: Prices) -> Iterator[str]:
    ratio = choice.tokens / choice.params
    yield (
        f"N {between(choice.params, choice.params_interval)} on D "
        f"{between(choice.tokens, choice.tokens_interval)} tokens, "
        f"M {between(ratio, choice.ratio_interval)}."
    )
    unique = choice.question.unique_tokens
    if unique is not None and choice.tokens > unique:
        yield f"It sees its {amount_text(unique)} tokens {choice.tokens / unique:.3g} times."
    yield f"Training costs {_cost(choice.flops, prices)}{_training_share(choice)}."
    if choice.question.demand:
        share = choice.flops / choice.lifetime
        yield f"Its life costs {_cost(choice.lifetime, prices)}, {share:.0%} of it training."
    if choice.missing:
        yield f"In {choice.missing:.1%} of the draws there is no such run."


def _training_share(choice: Choice) -> str:
    """Say how far a run that is also served goes beyond the training compute that was named."""
    compute = choice.question.compute
    if not choice.question.served or compute is None:
        return ""
    return f", {choice.flops / compute:.3g} times the training compute asked about"


def _cost(flops: float, prices: Prices) -> str:
    words = [f"{flops:.4g} FLOPs"]
    hours, money = prices.hours(flops), prices.money(flops)
    if hours is not None:
        words.append(f"{hours:,.0f} GPU-hours on {prices.device}")
    if money is not None:
        words.append(f"{money:,.2f} in money")
    return " = ".join(words)


def _gives(decision: Decision) -> Iterator[str]:
    yield from (outcome_text(one) for one in decision.outcomes)
    answer = decision.answer
    said = as_if_new(decision.curve, answer.tokens, answer.question.unique_tokens)
    if said is not None:
        yield f"{said[0].upper()}{said[1:]}."
    if decision.curve.drawn:
        yield f"What the interval contains: {contained(decision.outcomes[0])}"


def outcome_text(outcome: Outcome) -> str:
    """Say what one response would be."""
    if outcome.predicted is None:
        return f"{outcome.response}: no prediction, {outcome.reason}."
    text = f"{outcome.response} {outcome.predicted:.4f}"
    if outcome.lower is not None and outcome.upper is not None:
        text += f" [{outcome.lower:.4f}, {outcome.upper:.4f}]"
    return f"{text}."


def contained(outcome: Outcome) -> str:
    """Say what the interval of one response contains."""
    return f"{outcome.response}: {outcome.contains}."


def _wrong(decision: Decision) -> Iterator[str]:
    whose = "cost" if decision.answer.question.served else "compute"
    found = decision.valley
    if not decision.curve.drawn:
        low, high = found.range or (np.nan, np.nan)
        yield (
            f"N from {amount_text(low)} to {amount_text(high)} wastes under {SMALL:.0%} of the "
            f"{whose}, if these constants are true: nothing says how wrong they are."
        )
    elif found.range is None:
        at = found.safest
        yield (
            f"No N wastes under {SMALL:.0%} of the {whose} in nine of ten draws; the safest, "
            f"{amount_text(float(found.params[at]))}, wastes up to {found.most[at]:.2%} in nine "
            "of ten."
        )
    else:
        low, high = found.range
        yield (
            f"N from {amount_text(low)} to {amount_text(high)} wastes under {SMALL:.0%} of the "
            f"{whose} in nine of ten draws."
        )
        times = decision.curve.times_largest(decision.answer.flops)
        if times is not None and times > 1.001 * _HELD:
            yield (
                f"It has {times:.3g} times the largest compute of the runs: beyond {_HELD:g} times "
                "few simulated tables have such a range, too few to say that it holds."
            )
    if decision.named:
        yield _named(decision.named, whose, decision.curve.drawn)


def _named(named: Valley, whose: str, drawn: bool) -> str:
    text = f"N {amount_text(float(named.params[0]))} wastes {named.median[0]:.2%} of the {whose}"
    if not drawn:
        return f"{text}."
    return f"{text} in the median draw, and up to {named.most[0]:.2%} in nine of ten."


def _table(decision: Decision) -> list[str]:
    """Return the alternatives side by side."""
    served = bool(decision.answer.question.demand)
    head = ["", "N", "D", "M", "training FLOPs", "loss"]
    rows = [[*head[:5], "lifetime FLOPs", head[5]] if served else head]
    rows_of = [(decision.answer, decision.outcomes[0]), *decision.others]
    for choice, outcome in rows_of:
        row = [
            choice.name,
            amount_text(choice.params),
            amount_text(choice.tokens),
            f"{choice.tokens / choice.params:.3g}",
            f"{choice.flops:.3g}",
        ]
        if served:
            life = choice.flops + 2 * choice.params * decision.answer.question.demand
            row.append(f"{life:.3g}")
        rows.append([*row, _loss(outcome)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            word.ljust(width) if i == 0 else word.rjust(width)
            for i, (word, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _loss(outcome: Outcome) -> str:
    if outcome.predicted is None:
        return "-"
    if outcome.lower is None or outcome.upper is None:
        return f"{outcome.predicted:.4f}"
    return f"{outcome.predicted:.4f} [{outcome.lower:.4f}, {outcome.upper:.4f}]"


def _rests(decision: Decision) -> Iterator[str]:
    curve, outcome = decision.curve, decision.outcomes[0]
    yield f"Law {curve.law.formula}, numbers {outcome.numbers}."
    if outcome.evidence:
        yield f"Evidence: {outcome.evidence}."
    yield from _beyond(decision)
    if decision.repetition is not None:
        yield decision.repetition.words
    if decision.floor:
        low, high = (amount_text(size) for size in decision.floor)
        yield f"Where the floor E is low, the best N is {low}; where it is high, {high}."
    told = [
        f"{one.law} {amount_text(one.params) if np.isfinite(one.params) else 'none'} "
        f"(rmse {one.rmse:.2%})"
        for one in decision.laws
    ]
    if told:
        yield f"The best N of each law, fitted to the same runs: {', '.join(told)}."


def _beyond(decision: Decision) -> Iterator[str]:
    """Say along which axes the answer lies outside the runs."""
    curve, answer = decision.curve, decision.answer
    if not curve.params.size:
        return
    pairs = (
        ("N", answer.params, curve.params),
        ("D", answer.tokens, curve.tokens),
        ("M", answer.tokens / answer.params, curve.tokens / curve.params),
    )
    found = []
    for name, value, column in pairs:
        low, high = float(column.min()), float(column.max())
        if value > high:
            found.append(f"{name} {value / high:.3g} times the largest ({amount_text(high)})")
        elif value < low:
            found.append(f"{name} {value / low:.3g} times the smallest ({amount_text(low)})")
    if found:
        yield f"Outside the {curve.params.size} runs: {', '.join(found)}."


def _next(decision: Decision, prices: Prices) -> Iterator[str]:
    found = decision.following
    if not decision.curve.params.size:
        yield "Runs of your own: constants say nothing of how well they hold where you train."
        return
    if found is None or not found.steps:
        yield "The run itself: no run of a tenth of its cost narrows what is known of it."
        return
    before = float(found.widths[0])
    for step in found.steps:
        after = float(step.widths[0])
        yield (
            f"N {amount_text(step.run.params)} on D {amount_text(step.run.tokens)}: "
            f"{_cost(step.cost, prices)}; the law at the answer from +- {before:.2%} to "
            f"+- {after:.2%}."
        )
        before = after
