"""Amounts as people write them: 7B, 1.4T, 300M, 1e22; and as people read them."""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

from scalebed.core.errors import ScalebedError

_UNITS: Final = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_AMOUNT: Final = re.compile(
    r"\s*([-+]?[0-9][0-9_,]*\.?[0-9]*(?:e[-+]?[0-9]+)?)\s*([a-z]?)\s*", re.I
)
_SHOWN: Final = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


class Amount(NamedTuple):
    """A kind of amount, and below what a number is most likely a slip of the unit."""

    what: str
    least: float
    example: str


PARAMS: Final = Amount("parameters", 1e3, "7B")
TOKENS: Final = Amount("tokens", 1e3, "1.4T")
FLOPS: Final = Amount("FLOPs", 1e9, "1e22")
PLAIN: Final = Amount("", 0.0, "2.5")


def parse_amount(text: str) -> float | None:
    """Return the number that an amount says, None if it is none: 7B, 1.4T, 1e22."""
    found = _AMOUNT.fullmatch(text)
    unit = _UNITS.get(found[2].lower()) if found else None
    if found is None or unit is None:
        return None
    try:
        return float(found[1].replace(",", "").replace("_", "")) * unit
    except ValueError:
        return None


def read_amount(text: str, name: str, amount: Amount = PLAIN, zero: bool = False) -> float:
    """Read an amount.

    Parameters
    ----------
    text : str
        A number, perhaps with k, M, B (or G) or T behind it.
    name : str
        Option or key it was given for, for messages.
    amount : Amount
        What is counted.
    zero : bool
        Whether none at all is an amount too.

    Raises
    ------
    ScalebedError
        If it is no amount above 0, or so small that a unit was forgotten.
    """
    expected = f"expected {amount.what or 'a number above 0,'} such as {amount.example}"
    value = parse_amount(text)
    if value is None:
        raise ScalebedError(f"{name} is {text!r}, {expected}")
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ScalebedError(f"{name} is {text!r}, {expected}, above 0")
    if 0 < value < amount.least:
        raise ScalebedError(
            f"{name} is {text!r}, which is {value:g} {amount.what}: is a unit missing, "
            f"as in {amount.example}?"
        )
    return value


def amount_text(value: float, digits: int = 3) -> str:
    """Write an amount of parameters or tokens: 7.02B, 1.4T; numbers below 1,000 as they are."""
    if not math.isfinite(value):
        return "unlimited" if value > 0 else "none"
    for size, letter in _SHOWN:
        # What rounds to 1,000 of a unit is 1 of the next.
        if value >= size * (1 - 0.5 * 10.0**-digits):
            return f"{float(f'{value / size:.{digits}g}'):g}{letter}"
    return f"{value:.{digits}g}"


def between(value: float, limits: tuple[float | None, float | None] | None) -> str:
    """Write an amount with its interval, if it has one: 6.1B (4.2B .. 8.9B)."""
    shown = amount_text(value)
    if limits is None or limits[0] is None or limits[1] is None:
        return shown
    return f"{shown} ({amount_text(limits[0])} .. {amount_text(limits[1])})"


def run_text(params: float, tokens: float, unique_tokens: float | None) -> str:
    """Name a run by N, D and what it repeats."""
    text = f"N {amount_text(params)}, D {amount_text(tokens)}"
    return text if unique_tokens is None else f"{text}, {amount_text(unique_tokens)} unique"
