"""What a seal must hold for it to be judged: whoever forges one can give it the right digest."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from scalebed.core.errors import ScalebedError
from scalebed.core.shown import in_line, shortened, unfit

Check = Callable[[Any], bool]
Shape = Mapping[str, tuple[Check, str]]
"""What a value has to pass and what was expected, by the keys that lead to it."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and in_line(value) == value


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and unfit(value) is None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300 and not math.isnan(value)


def _is_above_0(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_level(value: Any) -> bool:
    return _is_number(value) and 0 < value < 1


def _is_date(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_prediction(value: Any) -> bool:
    """Whether a value is what the seal of a study says of one response of one target."""
    if not isinstance(value, dict):
        return False
    numbers = (value.get(key) for key in ("predicted", "lower", "upper"))
    texts = (value.get(key) for key in ("cell", "response"))
    return (
        value.get("kind") in ("loss", "error")
        and _is_level(value.get("level"))
        and all(map(_is_text, texts))
        and all(map(_or_none(_is_number), numbers))
    )


_SHAPE: Final[Shape] = {
    "date": (_is_date, "a date"),
    "dataset": (_is_name, "a name"),
    "despite_evidence": (_list_of(_is_text), "sentences"),
    "target.params": (_is_above_0, "a number above 0"),
    "target.tokens": (_is_above_0, "a number above 0"),
    "target.unique_tokens": (_or_none(_is_above_0), "a number above 0 or null"),
    "prediction.response": (_is_name, "a name"),
    "prediction.kind": (lambda value: value in ("loss", "error"), "loss or error"),
    "prediction.predicted": (_is_above_0, "a number above 0"),
    "prediction.lower": (_is_number, "a number"),
    "prediction.upper": (_is_number, "a number"),
    "prediction.level": (_is_level, "a number between 0 and 1"),
    "prediction.quantiles": (
        lambda value: _list_of(_is_number)(value) and len(value) > 1 and value == sorted(value),
        "numbers in order",
    ),
}
OF_STUDY: Final[Shape] = {
    "date": (_is_date, "a date"),
    "study": (_is_name, "a name"),
    "targets": (_list_of(_is_text), "cells"),
    "predictions": (_list_of(_is_prediction), "predictions of cells"),
    "refused": (lambda value: isinstance(value, list), "refused fits"),
    "digests.settings": (_is_text, "a digest"),
    "digests.code": (_is_text, "a digest"),
    "digests.records": (lambda value: isinstance(value, dict), "digests by record"),
}
OF_JUDGEMENT: Final[Shape] = {
    "date": (_is_date, "a date"),
    "measured": (_is_above_0, "a number above 0"),
}
_ABSENT: Final = object()


def require_shape(record: Mapping[str, Any], where: str, shape: Shape = _SHAPE) -> None:
    """Raise if a seal, or a file beside it, lacks what is asked of it.

    Raises
    ------
    ScalebedError
        If a key is missing or its value is of another kind.
    """
    for key, (check, expected) in shape.items():
        value = _at(record, key.split("."))
        if value is _ABSENT:
            raise ScalebedError(f"{where} is not whole: {key} is missing, expected {expected}")
        if not check(value):
            raise ScalebedError(f"{where}: {key} is {shortened(repr(value))}, expected {expected}")


def _at(value: Any, keys: list[str]) -> Any:
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return _ABSENT
        value = value[key]
    return value
