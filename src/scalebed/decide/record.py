"""A decision and single predictions as records for programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from scalebed.decide.costs import Prices
from scalebed.decide.curve import Outcome
from scalebed.decide.decision import Decision
from scalebed.decide.page import asked
from scalebed.decide.question import Choice
from scalebed.decide.regret import MOSTLY, SMALL, Valley


def record(decision: Decision, prices: Prices) -> dict[str, Any]:
    """Return the page as built-in values, for ``--json``."""
    curve, found = decision.curve, decision.valley
    return {
        "schema": "scalebed.decision",
        "version": 1,
        "source": curve.source,
        "dataset": curve.dataset,
        "law": f"{curve.law.name}@{curve.law.version}",
        "level": curve.level,
        "question": asked(decision.answer.question),
        "answer": _choice(decision.answer, prices),
        "gives": [outcome_record(outcome) for outcome in decision.outcomes],
        "regret": {
            "small": SMALL,
            "share_of_draws": MOSTLY,
            "range": None if found.range is None else list(found.range),
            "safest": float(found.params[found.safest]),
            "safest_regret": float(found.most[found.safest]),
            "named": None if decision.named is None else _valley(decision.named)[0],
            "valley": _valley(found),
        },
        "alternatives": [
            {**_choice(choice, prices), "loss": outcome_record(outcome)}
            for choice, outcome in decision.others
        ],
        "refused": decision.refused,
        "floor": None if decision.floor is None else list(decision.floor),
        "repetition": None if decision.repetition is None else decision.repetition.record(),
        "next": _next_record(decision),
        "laws": [_plain(one._asdict()) for one in decision.laws],
    }


def _next_record(decision: Decision) -> list[dict[str, float]]:
    if decision.following is None:
        return []
    return [
        {
            "params": step.run.params,
            "tokens": step.run.tokens,
            "flops": step.cost,
            "half_width": float(step.widths[0]),
        }
        for step in decision.following.steps
    ]


def _choice(choice: Choice, prices: Prices) -> dict[str, Any]:
    return {
        "name": choice.name,
        "params": choice.params,
        "tokens": choice.tokens,
        "token_multiplier": choice.tokens / choice.params,
        "params_interval": choice.params_interval,
        "tokens_interval": choice.tokens_interval,
        "token_multiplier_interval": choice.ratio_interval,
        "training_flops": choice.flops,
        "lifetime_flops": choice.lifetime,
        "gpu_hours": prices.hours(choice.flops),
        "money": prices.money(choice.flops),
        "lifetime_money": prices.money(choice.lifetime),
        "draws_without": choice.missing,
    }


def _valley(found: Valley) -> list[dict[str, float]]:
    names = ("params", "median", "nine_of_ten", "share_small")
    columns = (found.params, found.median, found.most, found.share)
    return [dict(zip(names, map(float, row), strict=True)) for row in zip(*columns, strict=True)]


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """Return one prediction as built-in values."""
    target = outcome.target
    rest = {key: value for key, value in outcome._asdict().items() if key != "target"}
    return {
        "params": target.params,
        "tokens": target.tokens,
        "unique_tokens": target.unique_tokens,
    } | rest


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN."""
    return {
        key: None if isinstance(value, float) and not np.isfinite(value) else value
        for key, value in values.items()
    }
