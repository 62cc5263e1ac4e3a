"""How a cell would be trained at a site: on which devices, and how fast."""

from typing import Any

from scalebed.core.backends import require
from scalebed.core.errors import ScalebedError
from scalebed.plan.devices import spread
from scalebed.plan.estimates import Calibration, Estimate, gpu_step
from scalebed.study.hardware import Hardware
from scalebed.train.memory import Layout


def spread_out(spec: dict[str, Any], hardware: Hardware) -> tuple[Layout | None, str | None]:
    """Return how a training is spread over the GPUs of a site, or why it cannot be."""
    if hardware.gpu is None:
        return None, None
    try:
        return spread(spec, hardware), None
    except ScalebedError as error:
        return None, str(error)


def step_time(
    spec: dict[str, Any], spread: Layout | None, hardware: Hardware, calibration: Calibration
) -> Estimate | None:
    """Return the time of a step: from FLOPs on GPUs, measured on a core."""
    if hardware.gpu is None:
        return calibration.step(spec["model"], spec["recipe"])
    if spread is None:
        return None
    return gpu_step(spec["model"], spec["recipe"], spread, hardware.gpu)


def not_installed(backends: set[str]) -> list[str]:
    """Return a sentence for each backend that is not installed here."""
    sentences = []
    for name in sorted(backends):
        try:
            require(name)
        except ScalebedError as error:
            sentences.append(str(error))
    return sentences
