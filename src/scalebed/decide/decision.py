"""The page of a decision: the answer, what it gives, how wrong it may be, what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.decide.curve import Curve, Outcome
from scalebed.decide.question import (
    Choice,
    Found,
    Question,
    alternatives,
    best_of,
    choose,
    found_in,
    surface_of,
)
from scalebed.decide.regret import Valley, compute_regret, cost_regret, sizes_around, valley
from scalebed.decide.repetition import Repetition, repetition_of
from scalebed.decide.suggest.designs import Limits, Run
from scalebed.decide.suggest.suggestion import Suggestion, Wanted, suggestion
from scalebed.fit.options import Options
from scalebed.fit.result import FitRefusedError, fit_law
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array

LAWS: Final = ("tied", "chinchilla", "kaplan")
"""Laws that are asked as well, fitted to the same runs."""


_FOLLOWING, _TRIED = 2, 0.1
"""How many runs to add before, and the largest share of the answer's compute each may take."""


class Other(NamedTuple):
    """What another law, fitted to the same runs, would answer; NaN where it has no answer."""

    law: str
    params: float
    rmse: float
    """Relative to the loss."""


@dataclass(frozen=True)
class Decision:
    """An answer with what belongs to it.

    Attributes
    ----------
    curve : Curve
    answer : Choice
    outcomes : list of Outcome
        What the answer gives, loss first.
    valley : Valley
        Regret over N.
    named : Valley or None
        Regret of the size that was named.
    others : list of (Choice, Outcome)
        The alternatives, with their loss.
    refused : dict
        Alternatives that have no answer, and why.
    floor : (float, float) or None
        N in the tenth of the draws with the lowest E and in that with the highest.
    laws : list of Other
    repetition : Repetition or None
        What repeated tokens are worth, where there are so many only.
    following : Suggestion or None
        Which runs to add before; None without draws.
    """

    curve: Curve
    answer: Choice
    outcomes: list[Outcome]
    valley: Valley
    named: Valley | None
    others: list[tuple[Choice, Outcome]]
    refused: dict[str, str]
    floor: tuple[float, float] | None
    laws: list[Other]
    repetition: Repetition | None
    following: Suggestion | None


def decide(curve: Curve, question: Question, size: float | None = None) -> Decision:
    """Answer a question.

    Parameters
    ----------
    curve : Curve
    question : Question
    size : float, optional
        N of which the regret is wanted.

    Raises
    ------
    ScalebedError
        If there is no answer, or the budget lies below the smallest run.
    """
    _check(curve, question)
    everywhere = found_in(curve, question)
    answer = choose(curve, question, "answer", everywhere)
    choices, refused = [], {}
    for name, one in alternatives(question).items():
        try:
            choices.append(choose(curve, one, name))
        except ScalebedError as error:
            refused[name] = str(error)
    found = curve.outcomes([answer.target, *(choice.target for choice in choices)])
    few = everywhere.thinned()
    sizes = sizes_around(few.best.params)
    sizes = sizes[sizes <= question.caps.params]
    asked = sizes if size is None else np.append(sizes, size)
    regret = _regret(few, question, asked)
    return Decision(
        curve=curve,
        answer=answer,
        outcomes=found[0],
        valley=valley(sizes, regret[:, : sizes.size]),
        named=None if size is None else valley(asked[-1:], regret[:, -1:]),
        others=[(choice, row[0]) for choice, row in zip(choices, found[1:], strict=True)],
        refused=refused,
        floor=_floors(curve, everywhere),
        laws=_laws(curve, question),
        repetition=repetition_of(curve, question.unique_tokens),
        following=_following(curve, answer),
    )


def _check(curve: Curve, question: Question) -> None:
    flops = question.compute
    if flops is not None and curve.params.size:
        least = float(np.min(6 * curve.params * curve.tokens))
        if flops < least:
            raise ScalebedError(
                f"the budget is {flops:.3g} training FLOPs, below the smallest run of "
                f"{curve.source} ({least:.3g}): nothing smaller was tried"
            )


def _regret(found: Found, question: Question, sizes: Array) -> Array:
    most, compute = question.caps.params, question.compute
    if not question.served and compute is not None:
        served = question.demand if question.lifetime else 0.0
        return compute_regret(found.surface, sizes, compute, most, served)
    if found.wanted is None:
        raise AssertionError("a question is about a compute or a loss")
    return cost_regret(found.surface, sizes, found.wanted, question.demand, most, found.best)


def _following(curve: Curve, answer: Choice) -> Suggestion | None:
    """Suggest runs that narrow the law at the answer, each at most a share of its cost."""
    if not (curve.drawn and curve.params.size):
        return None
    unique = answer.question.unique_tokens
    target = Run(answer.params, answer.tokens, min(answer.tokens, unique or answer.tokens))
    limits = Limits(most=_TRIED * answer.flops, unique_tokens=unique)
    try:
        return suggestion(curve, Wanted((target,), count=_FOLLOWING, limits=limits))
    except ScalebedError:
        # Where even the cheapest candidate costs more, the answer itself is the next run.
        return None


def _floors(curve: Curve, everywhere: Found) -> tuple[float, float] | None:
    """N where the floor E is low and where it is high; None if it is all the same to N."""
    names = [parameter.name for parameter in curve.law.parameters]
    if "E" not in names or not curve.drawn:
        return None
    best = everywhere.best
    floor = everywhere.surface.theta[:, names.index("E")]
    low, high = np.quantile(floor, (0.1, 0.9))
    found = [best.params[use & np.isfinite(best.params)] for use in (floor <= low, floor >= high)]
    if any(column.size == 0 for column in found):
        return None
    return float(np.median(found[0])), float(np.median(found[1]))


def _laws(curve: Curve, question: Question) -> list[Other]:
    """Ask other laws that are fitted to the same runs."""
    found = []
    # Where data are repeated, the law at hand is the only one that knows what that is worth.
    for name in LAWS if curve.params.size and "unique_tokens" not in curve.law.inputs else ():
        law = get_law(name)
        try:
            fit = fit_law(law, (curve.params, curve.tokens), curve.loss, Options("log_sse"))
            best, _ = best_of(surface_of(law, fit.theta[None], question), question)
        except FitRefusedError:
            continue
        rmse = float(np.sqrt(np.mean((fit.residuals / fit.fitted) ** 2)))
        found.append(Other(name, float(best.params[0]), rmse))
    return found
