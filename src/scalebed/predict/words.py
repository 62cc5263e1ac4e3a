"""Verdicts and methods in words, for the reader of a table."""

from __future__ import annotations

from scalebed.laws import get_law
from scalebed.predict.runs import Runs
from scalebed.predict.scatter import OWN_DOF
from scalebed.predict.settings import Settings
from scalebed.predict.stages import Stage


def verdict(stage: Stage, runs: Runs) -> str:
    """``certified``, ``doubtful: why`` or ``refused: why``."""
    if stage.fit is None:
        return f"refused: {stage.reason}"
    doubts = list(stage.fit.certificate.doubts)
    if runs.absent:
        doubts.append(f"fit cells missing: {', '.join(runs.absent)}")
    return f"doubtful: {'; '.join(doubts)}" if doubts else "certified"


def method(stage: Stage, loss: Stage | None, settings: Settings, direct: bool) -> str:
    """Say what the interval of a prediction contains, in words."""
    if stage.sigma is None or stage.draws is None:
        return "no interval: no degree of freedom anywhere to estimate the scatter of runs from"
    head = (
        f"{settings.level:.0%} prediction interval, parametric bootstrap, {settings.draws} joint "
        "draws"
    )
    if loss is None and not direct:
        text = (
            f"refits of the {stage.law} law with lack of fit {stage.sigma.value:.2%} of "
            f"the loss ({stage.sigma.source}), and the same scatter of the new run; evaluation "
            "error is part of it"
        )
    elif loss is None or loss.sigma is None:
        text = (
            f"refits of the {stage.law} law (lack of fit {stage.sigma.value:.4f}, "
            f"{stage.sigma.source}), with the scatter of the new run and its sampling error "
            f"{stage.sampling:.4f}"
        )
    else:
        text = (
            f"refits of the {loss.law} law (lack of fit {loss.sigma.value:.2%} of the loss) and of "
            f"the {stage.law} law (lack of fit {stage.sigma.value:.4f}, {stage.sigma.source}), "
            "chained, with both scatters of the new run and its sampling error "
            f"{stage.sampling:.4f}"
        )
    return f"{head}: {text}; {_reason(stage)}"


def _reason(stage: Stage) -> str:
    """Say why this design gets this scatter."""
    dof = stage.fit.certificate.degrees_of_freedom if stage.fit else 0
    if stage.sigma is None or not stage.sigma.own:
        return f"the fit leaves {dof} degrees of freedom, too few to know its own scatter"
    if dof >= OWN_DOF:
        return f"the fit leaves {dof} degrees of freedom, enough to know its own scatter"
    return f"there is nothing but the {dof} degrees of freedom of the fit, hence Student's t"


def chained(stage: Stage) -> bool:
    """Whether the law takes the loss that another law predicts."""
    return "loss" in get_law(stage.law).inputs
