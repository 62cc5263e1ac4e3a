"""How many GPUs a cell takes: the fewest that hold it and train it in time.

A cell that the memory of one GPU holds could train on it for years. So GPUs are doubled, up to what
a cell may take, until its training ends within a bound of the site. Whatever ends sooner stays on
the fewest that hold it: single GPUs beside each other lose no time to sending gradients.
"""

from typing import Any

from scalebed.plan.estimates import gpu_step
from scalebed.plan.queues import longest
from scalebed.study.hardware import Hardware
from scalebed.train.memory import Layout, layouts


def seconds_allowed(hardware: Hardware) -> float:
    """Return the seconds above which a training takes more GPUs than hold it."""
    hours = hardware.gpu.cell_hours if hardware.gpu else None
    return 60.0 * longest(hardware, True) if hours is None else 3600.0 * hours


def spread(spec: dict[str, Any], hardware: Hardware) -> Layout:
    """Return how a training is spread over the GPUs of a site.

    Parameters
    ----------
    spec
        The cell's parameters, with the steps of this training alone.
    hardware
        The site, with GPUs.

    Raises
    ------
    ScalebedError
        If the cell fits no number of them.
    """
    model, recipe, gpu = spec["model"], spec["recipe"], hardware.gpu
    fitting = layouts(model, recipe, hardware)
    if gpu is None:
        return fitting[0]
    allowed = seconds_allowed(hardware)
    for layout in fitting:
        if gpu_step(model, recipe, layout, gpu).seconds * spec["steps"] <= allowed:
            return layout
    return fitting[-1]
