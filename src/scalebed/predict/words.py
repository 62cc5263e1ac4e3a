"""What is said of a fit and of an interval: two verdicts, and what the interval contains."""

from __future__ import annotations

from scalebed.laws import get_law
from scalebed.predict.forward import MISSED
from scalebed.predict.runs import Runs
from scalebed.predict.scatter import OWN_DOF
from scalebed.predict.settings import Settings
from scalebed.predict.stages import Stage, chained

FOUND = "found"


def numbers_of(stage: Stage, runs: Runs) -> str:
    """Say whether these are the law's numbers: found, or doubtful or refused and why."""
    if stage.fit is None:
        return f"refused: {stage.reason}"
    doubts = list(stage.fit.certificate.doubts if stage.doubts is None else stage.doubts)
    if stage.doubts is None and stage.independent < stage.points:
        doubts += _dependent(stage)
    if runs.absent:
        doubts.append(f"fit cells missing: {', '.join(runs.absent)}")
    return f"doubtful: {'; '.join(doubts)}" if doubts else FOUND


def _dependent(stage: Stage) -> list[str]:
    """Say what becomes of points that are not independent, where that is a doubt."""
    law = get_law(stage.law)
    free = stage.independent - len(law.parameters)
    if stage.clustered and (law.kind != "loss" or free >= OWN_DOF):
        return []
    drawn = "intervals of this method take them for independent"
    if stage.clustered:
        plural = "s" if free != 1 else ""
        drawn = f"what those of one share rests on {free} degree{plural} of freedom"
    return [f"{stage.points} points are {stage.independent} independent runs or designs: {drawn}"]


def evidence_words(stage: Stage, run: tuple[float, float] | None = None) -> str | None:
    """Return what the data say of the law, at a run of some N and D; None if not asked."""
    if stage.evidence is None:
        return None
    if run is None:
        return stage.evidence.words
    params, tokens = run
    return stage.evidence.at(6 * params * tokens, tokens / params)


def prediction_words(
    stage: Stage, loss: Stage | None, runs: Runs, run: tuple[float, float]
) -> tuple[str, str | None]:
    """Return both statements on a prediction: an error behind a loss has those of both laws.

    Parameters
    ----------
    stage : Stage
        The law that predicts.
    loss : Stage or None
        The loss law before it; passed over where the law takes no loss.
    runs : Runs
    run : pair of float
        N and D.
    """
    numbers, evidence = numbers_of(stage, runs), evidence_words(stage, run)
    if loss is None or stage.fit is None or not chained(get_law(stage.law)):
        return numbers, evidence
    if numbers != (before := numbers_of(loss, runs)):
        numbers = f"loss law {before}; error law {numbers}"
    first = evidence_words(loss, run)
    if evidence is not None and first is not None:
        evidence = f"loss law {first}; error law {evidence_words(stage)}"
    return numbers, evidence


def missed(evidence: str | None) -> bool:
    """Tell whether the evidence is that a law missed: that of the loss before an error counts."""
    if evidence is None:
        return False
    parts = evidence.removeprefix("loss law ").split("; error law ")
    return any(part.startswith(MISSED) for part in parts)


def verdict(numbers: str, evidence: str | None) -> str:
    """Put both statements into one text."""
    if numbers.startswith("refused"):
        return numbers
    said = f"numbers: {numbers}"
    return said if evidence is None else f"{said}; evidence: {evidence}"


def method(stage: Stage, loss: Stage | None, settings: Settings, direct: bool) -> str:
    """Say what the interval of a prediction contains, in words."""
    if stage.sigma is None or stage.draws is None:
        return "no interval: no degree of freedom anywhere to estimate the scatter of runs from"
    level, joint = f"{settings.level:.0%} prediction interval", f"{settings.draws} joint draws"
    if stage.doubts is not None:
        return f"{level}, {_posterior(stage)}, {joint}"
    head = f"{level}, parametric bootstrap, {joint}"
    scatter = f"(lack of fit {stage.sigma.value:.4f}, {stage.sigma.source})"
    if loss is None and not direct:
        text = (
            f"refits of the {stage.law} law with lack of fit {stage.sigma.value:.2%} of "
            f"the loss ({stage.sigma.source}), and the same scatter of the new run; evaluation "
            "error is part of it"
        )
    elif loss is None or loss.sigma is None:
        text = (
            f"refits of the {stage.law} law {scatter}, with the scatter of the new run and its "
            f"sampling error {stage.sampling:.4f}"
        )
    else:
        before = (
            f"refits of the {loss.law} law (lack of fit {loss.sigma.value:.2%} of the loss) and of"
        )
        if loss.doubts is not None:
            head, before = f"{level}, {joint}", f"{_posterior(loss)} and refits of"
        text = (
            f"{before} the {stage.law} law {scatter}, chained, with both scatters of the new run "
            f"and its sampling error {stage.sampling:.4f}"
        )
    return f"{head}: {text}; {_reason(stage)}"


def _posterior(stage: Stage) -> str:
    scatter = "" if stage.sigma is None else f"scatter {stage.sigma.value:.2%} of the loss"
    source = "" if stage.sigma is None else f" ({stage.sigma.source})"
    return f"{stage.method} with its exponents, its {scatter}{source} and that of the new run"


def _reason(stage: Stage) -> str:
    """Say why this design gets this scatter."""
    dof = stage.fit.certificate.degrees_of_freedom if stage.fit else 0
    if stage.sigma is None or not stage.sigma.own:
        return f"the fit leaves {dof} degrees of freedom, too few to know its own scatter"
    if dof >= OWN_DOF:
        return f"the fit leaves {dof} degrees of freedom, enough to know its own scatter"
    return f"there is nothing but the {dof} degrees of freedom of the fit, hence Student's t"
