"""What is asked for: the best run at a budget or a loss, under demand and caps; and its answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.core.quantities import amount_text
from scalebed.decide.curve import Curve
from scalebed.decide.optimum import LEAST, MOST, Best, Caps, at_compute, at_loss
from scalebed.decide.regret import spread, thinned
from scalebed.decide.surface import LOG_MOST, Surface
from scalebed.laws.forms.base import Array, Law
from scalebed.predict.table_runs import Target

_CLOSED = ("tied", "chinchilla")
"""Laws that are quick in all draws; of others so many are taken:"""
_FEW = 400

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Question:
    """What the best run is wanted for.

    Attributes
    ----------
    flops : float, optional
        Training compute C; with `lifetime` the compute of training and serving.
    loss : float, optional
        Loss that is wanted instead.
    demand : float
        T: tokens served, in FLOPs of training (`scalebed.decide.costs.Prices.equivalent`). Without
        `lifetime` the run has the loss of the best one of C and the least cost 6 N D + 2 N T.
    lifetime : bool
    unique_tokens : float, optional
        U: tokens there are; more are repetitions.
    caps : Caps
    """

    flops: float | None = None
    loss: float | None = None
    demand: float = 0.0
    lifetime: bool = False
    unique_tokens: float | None = None
    caps: Caps = field(default_factory=Caps)

    @property
    def compute(self) -> float | None:
        """C, as far as time allows it."""
        return None if self.flops is None else min(self.flops, self.caps.flops)

    @property
    def served(self) -> bool:
        """Whether a loss is reached at the least cost over a life."""
        return self.loss is not None or (self.demand > 0 and not self.lifetime)


class Choice(NamedTuple):
    """A run, and where the draws put it.

    Attributes
    ----------
    name : str
    question : Question
    params, tokens : float
        N: the median over the draws that have a best run; D: what belongs to it.
    params_interval, tokens_interval, ratio_interval : (float, float) or None
        Of the best N, D and M of the draws.
    missing : float
        Share of the draws that have no best run.
    wanted : array (draws,) or None
        Loss that had to be reached.
    """

    name: str
    question: Question
    params: float
    tokens: float
    params_interval: Interval
    tokens_interval: Interval
    ratio_interval: Interval
    missing: float
    wanted: Array | None

    @property
    def flops(self) -> float:
        """Training compute 6 N D."""
        return 6 * self.params * self.tokens

    @property
    def lifetime(self) -> float:
        """Compute of training and serving."""
        return self.flops + 2 * self.params * self.question.demand

    @property
    def target(self) -> Target:
        """The run, as it is predicted."""
        return Target(self.params, self.tokens, None, self.question.unique_tokens)


class Found(NamedTuple):
    """The best run of every draw of a question.

    Attributes
    ----------
    surface : Surface
        Losses in the draws.
    best : Best
    wanted : array (draws,) or None
        Loss that had to be reached, if that was what was asked.
    """

    surface: Surface
    best: Best
    wanted: Array | None

    def thinned(self) -> Found:
        """Return what so many draws say as a regret is worked out in."""
        rows = spread(len(self.surface.theta))
        wanted = None if self.wanted is None else self.wanted[rows]
        return Found(self.surface.take(rows), Best(*(x[rows] for x in self.best)), wanted)


def found_in(curve: Curve, question: Question) -> Found:
    """Return the best run of every draw of a curve."""
    surface = surface_of(curve.law, curve.theta, question)
    return Found(surface, *best_of(surface, question))


def surface_of(law: Law, theta: Array, question: Question) -> Surface:
    """Return the losses a question is about; of laws that take long, some of the draws."""
    surface = Surface(law, theta, question.unique_tokens)
    return surface if law.name in _CLOSED else thinned(surface, _FEW)


def best_of(surface: Surface, question: Question) -> tuple[Best, Array | None]:
    """Return the best run of every draw, and the loss it had to reach, if that was what was asked.

    Parameters
    ----------
    surface : Surface
    question : Question
    """
    most, compute = question.caps.params, question.compute
    if question.loss is not None:
        wanted = np.full(len(surface.theta), question.loss)
        return at_loss(surface, wanted, question.demand, most), wanted
    if compute is None:
        raise ScalebedError("expected --compute, --money or --loss")
    best = at_compute(surface, compute, most, question.demand if question.lifetime else 0.0)
    if not question.served:
        return best, None
    return at_loss(surface, best.loss, question.demand, most), best.loss


def choose(curve: Curve, question: Question, name: str = "", found: Found | None = None) -> Choice:
    """Answer a question from the draws of a curve, whose best runs may be found already.

    Raises
    ------
    ScalebedError
        If most draws have no such run, or it takes more compute than time allows.
    """
    surface, best, wanted = found or found_in(curve, question)
    known = np.isfinite(best.params)
    missing = 1 - float(known.mean())
    if missing > 0.5:
        raise ScalebedError(_none(curve, question, missing))
    params = float(np.median(best.params[known]))
    tokens = _tokens(surface, question, params, wanted)
    choice = Choice(
        name,
        question,
        params,
        tokens,
        curve.interval(best.params[known]),
        curve.interval(best.tokens[known]),
        curve.interval((best.tokens / best.params)[known]),
        missing,
        wanted,
    )
    if choice.flops > question.caps.flops * (1 + 1e-9):
        raise ScalebedError(
            f"the run of N {amount_text(params)} and D {amount_text(tokens)} takes "
            f"{choice.flops:.3g} training FLOPs, --max-days allows {question.caps.flops:.3g}"
        )
    return choice


def _tokens(surface: Surface, question: Question, params: float, wanted: Array | None) -> float:
    """D of a size: what the compute leaves, or what most draws say that the loss takes."""
    if wanted is None:
        served = question.demand if question.lifetime else 0.0
        return ((question.compute or 0.0) - 2 * params * served) / (6 * params)
    sizes = np.full((len(wanted), 1), params)
    return float(np.median(surface.tokens_for(sizes, wanted[:, None])))


def _none(curve: Curve, question: Question, missing: float) -> str:
    """Say why there is no answer."""
    share = f" in {missing:.0%} of the draws" if curve.drawn else ""
    if question.loss is None:
        if question.unique_tokens is None and not np.isfinite(question.caps.params):
            return (
                f"law {curve.law.name} has no best N at {question.compute:.3g} FLOPs between "
                f"{LEAST:g} and {MOST:g} parameters{share}: it has no optimum there"
            )
        return f"no run is possible{share} within --max-params and --unique-tokens"
    floor = _floor(curve, question)
    return (
        f"--loss is {question.loss:g}, which no run reaches{share}: the law's least loss "
        f"is {floor:.4g}; expected a loss above it"
    )


def _floor(curve: Curve, question: Question) -> float:
    """Return the loss of the largest run there may be, in the middle of the draws."""
    surface = Surface(curve.law, curve.middle[None], question.unique_tokens)
    most = min(question.caps.params, MOST)
    return float(surface.loss(np.array([most]), np.exp(np.array([LOG_MOST])))[0, 0])


def alternatives(question: Question) -> dict[str, Question]:
    """Return the questions whose answers are shown side by side, by name."""
    plain = replace(question, demand=0.0, unique_tokens=None, caps=Caps(flops=question.caps.flops))
    found = {"compute-optimal": replace(plain, lifetime=False)}
    if question.demand:
        found["served"] = replace(plain, demand=question.demand, lifetime=question.lifetime)
    if np.isfinite(question.caps.params):
        found["memory-capped"] = replace(plain, caps=question.caps)
    if question.unique_tokens is not None:
        found["data-capped"] = replace(plain, unique_tokens=question.unique_tokens)
    return found
