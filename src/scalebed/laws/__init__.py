"""Scaling laws, one file each.

A new law is one file ``laws/<name>.py`` that defines ``LAW``, and its name in `KINDS`.
Importing this package costs nothing; a law is imported when it is asked for, and needs NumPy only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from scalebed.core.errors import ScalebedError

if TYPE_CHECKING:
    from scalebed.laws.forms.base import Law

KINDS: Final[dict[str, tuple[str, ...]]] = {
    "loss": (
        "tied",
        "chinchilla",
        "gamma",
        "kaplan",
        "constrained",
        "farseer",
        "compute",
        "kaplan_no_floor",
        "log_linear",
    ),
    "error": ("decay", "decay_chance", "sigmoid", "sigmoid_chance", "linear"),
    "direct": (
        "tied_error",
        "neglog",
        "sigmoid_tied",
        "neglog_compute",
        "logistic",
        "logistic_chance",
        "power_error",
        "log_compute",
    ),
}
"""Names of the laws by kind: loss of a run, error of a loss, and directly error of a run."""

NAMES: Final[tuple[str, ...]] = tuple(name for group in KINDS.values() for name in group)


def names_of(kind: str | tuple[str, ...]) -> tuple[str, ...]:
    """Names of the laws of a kind, or of several."""
    kinds = (kind,) if isinstance(kind, str) else kind
    for wanted in kinds:
        if wanted not in KINDS:
            raise ScalebedError(f"kind {wanted!r} is unknown, expected one of {', '.join(KINDS)}")
    return tuple(name for wanted in kinds for name in KINDS[wanted])


def get_law(name: str, kind: str | tuple[str, ...] | None = None) -> Law:
    """Law of that name.

    Parameters
    ----------
    name : str
    kind : str or tuple of str, optional
        What the law has to describe.

    Raises
    ------
    ScalebedError
        If no law has that name, or it is not of the `kind` asked for.
    """
    if name not in NAMES:
        raise ScalebedError(f"law {name!r} is unknown, expected one of {', '.join(NAMES)}")
    law: Law = import_module(f"scalebed.laws.{name}").LAW
    kinds = (kind,) if isinstance(kind, str) else kind
    if kinds is not None and law.kind not in kinds:
        wanted = " or ".join(kinds)
        raise ScalebedError(f"law {name!r} describes {law.kind}, expected a law of {wanted}")
    return law


__all__ = ["KINDS", "NAMES", "get_law", "names_of"]
