"""Best runs and regret valleys of every data set of a study, from its draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.core.quantities import amount_text
from scalebed.decide.curve import Curve
from scalebed.decide.optimum import Caps
from scalebed.decide.question import Choice, Question, choose, surface_of
from scalebed.decide.regret import compute_regret, thinned, valley
from scalebed.decide.sources import study_curves
from scalebed.predict.open_study import StudyFit

TIMES: Final = tuple(10.0 ** (k / 2) for k in range(7))
"""Computes over that of the largest fitted run."""
SERVED: Final = 10.0
"""Tokens served over those of the compute-optimal run."""
CAPPED: Final = 4.0
"""How much smaller the memory is, or the data are, than the compute-optimal run would have them."""
_SIZES: Final = np.geomspace(1 / 30, 30, 41)
_DRAWS: Final = 400

Row = dict[str, Any]


def decisions(study: StudyFit) -> list[Row]:
    """Return the rows of table ``decisions``.

    Parameters
    ----------
    study : StudyFit
    """
    try:
        curves = study_curves(study)
    except ScalebedError:
        # Without a loss law there is nothing to decide by; table fits says why.
        return []
    return [row for curve in curves for row in _rows(curve)]


def _rows(curve: Curve) -> Iterator[Row]:
    found: list[tuple[float, str, Choice]] = []
    for times in TIMES:
        flops = times * curve.largest
        try:
            best = choose(curve, Question(flops), "optimum")
        except ScalebedError:
            continue
        found.append((flops, "", best))
        for words, question in _others(best):
            try:
                found.append((flops, words, choose(curve, question, words.partition(":")[0])))
            except ScalebedError:
                continue
    outcomes = curve.outcomes([choice.target for _, _, choice in found])
    for (flops, words, choice), (loss, *_) in zip(found, outcomes, strict=True):
        limits = (choice.params_interval or (None, None), choice.tokens_interval or (None, None))
        yield _row(curve, flops, choice.name, choice.params, choice.tokens) | {
            "assumption": words.partition(": ")[2] or None,
            "params_lower": limits[0][0],
            "params_upper": limits[0][1],
            "tokens_lower": limits[1][0],
            "tokens_upper": limits[1][1],
            "predicted": loss.predicted,
            "lower": loss.lower,
            "upper": loss.upper,
            "evidence": loss.evidence,
        }
        if choice.name == "optimum":
            yield from _valley(curve, flops, choice)


def _others(best: Choice) -> Iterator[tuple[str, Question]]:
    """Yield what else might be wanted at the same compute, with what that assumes."""
    asked, served = best.question, SERVED * best.tokens
    size, unique = best.params / CAPPED, best.tokens / CAPPED
    yield (
        f"served: the same loss at the least cost, {amount_text(served)} tokens served",
        replace(asked, demand=served),
    )
    yield f"memory: N at most {amount_text(size)}", replace(asked, caps=Caps(params=size))
    yield (
        f"data: {amount_text(unique)} unique tokens, repetitions worth what Muennighoff et al. say",
        replace(asked, unique_tokens=unique),
    )


def _valley(curve: Curve, flops: float, best: Choice) -> Iterator[Row]:
    """Yield sizes around the best one and what they waste."""
    surface = thinned(surface_of(curve.law, curve.theta, best.question), _DRAWS)
    sizes = best.params * _SIZES
    found = valley(sizes, compute_regret(surface, sizes, flops))
    for i, size in enumerate(sizes.tolist()):
        yield _row(curve, flops, "size", size, flops / (6 * size)) | {
            "regret": float(found.median[i]),
            "regret_most": float(found.most[i]),
            "share_small": float(found.share[i]),
        }


def _row(curve: Curve, flops: float, choice: str, params: float, tokens: float) -> Row:
    nothing = (
        "assumption",
        "params_lower",
        "params_upper",
        "tokens_lower",
        "tokens_upper",
        "predicted",
        "lower",
        "upper",
        "regret",
        "regret_most",
        "share_small",
        "evidence",
    )
    return dict.fromkeys(nothing) | {
        "dataset": curve.dataset,
        "flops": flops,
        "times_largest": flops / curve.largest,
        "choice": choice,
        "params": params,
        "tokens": tokens,
        "training_flops": 6 * params * tokens,
        "level": curve.level,
    }
