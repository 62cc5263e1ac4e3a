"""Scaling laws, one file each.

A new law is one file ``laws/<name>.py`` that defines ``LAW``, and its name in `NAMES`.
Importing this package costs numpy and nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from scalebed.errors import ScalebedError
from scalebed.laws.base import Law, Parameter, SharedExponentLaw

NAMES = ("tied", "decay")


def get_law(name: str, kind: str | None = None) -> SharedExponentLaw:
    """Law of that name.

    Raises
    ------
    ScalebedError
        If no law has that name, or it is not of the `kind` asked for.
    """
    if name not in NAMES:
        raise ScalebedError(f"law {name!r} is unknown, expected one of {', '.join(NAMES)}")
    law = cast(SharedExponentLaw, import_module(f"scalebed.laws.{name}").LAW)
    if kind is not None and law.kind != kind:
        raise ScalebedError(f"law {name!r} describes {law.kind}, expected a law of {kind}")
    return law


__all__ = ["NAMES", "Law", "Parameter", "SharedExponentLaw", "get_law"]
