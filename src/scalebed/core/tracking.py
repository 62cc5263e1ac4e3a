"""Which tracker trainings are told to, as a study or an environment says.

Nothing here is part of a cell's identity. It reaches jobs by the environment and not by the words
of a rule, which Snakemake would compare: the command of a rule that has changed is a reason to
train every cell again.
"""

import importlib.util
import os
import re
from typing import Final

from scalebed.core.errors import ScalebedError

TRACKERS: Final = ("wandb", "trackio", "tensorboard")
"""Trackers that are known by name; each is the name of its package and of an extra of ours."""

PATTERN: Final = rf"^({'|'.join(TRACKERS)}|[A-Za-z_][\w.]*:[A-Za-z_][\w.]*)$"
"""A tracker that is known by name, or ``module:function`` of one's own."""

TRACKING: Final = "SCALEBED_TRACKING"
"""Variable that names the tracker."""

PROJECT: Final = "SCALEBED_PROJECT"
"""Variable that names the project its runs belong to."""

DEFAULT_PROJECT: Final = "scalebed"
"""Project of trainings that belong to no study."""


def check_tracker(name: str) -> str:
    """Return the name of a tracker.

    Raises
    ------
    ScalebedError
        If there cannot be one of that name.
    """
    if not re.fullmatch(PATTERN, name):
        raise ScalebedError(
            f"no tracker is called {name!r}, expected {', '.join(TRACKERS)} or module:function"
        )
    return name


def offer_tracking(name: str | None, study: str) -> None:
    """Put the tracker of a study into the environment, for all jobs that are started from here.

    A study without one leaves the environment as it is, which may name one for all studies.

    Raises
    ------
    ScalebedError
        If the environment names none that there can be.
    """
    if name is not None:
        os.environ[TRACKING] = name
    if os.environ.get(TRACKING):
        check_tracker(os.environ[TRACKING])
        os.environ[PROJECT] = study


def untracked() -> str | None:
    """Return why the tracker of the environment cannot be had, in a sentence; None if it can."""
    name = os.environ.get(TRACKING)
    if not name:
        return None
    module = check_tracker(name).partition(":")[0]
    if _found(module):
        return None
    advice = f": pip install 'scalebed[{name}]'" if name in TRACKERS else ""
    return (
        f"nothing will be tracked, as there is no module {module} for tracking {name}{advice}; "
        "cells train all the same"
    )


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it
        return False
