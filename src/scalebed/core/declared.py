"""Read plain values, such as the JSON of ``--params``, as the dataclass that declares them.

A field says its type, its limits and its default. The sections of a study file inherit such
dataclasses, so that each value is declared once; jobs read them without importing pydantic, which
takes longer than everything else a small job imports of its own.
"""

import dataclasses
import functools
import math
import types
from collections.abc import Mapping
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from scalebed.core.errors import ScalebedError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T", bound="DataclassInstance")
_WORDS = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    list: "list",
    tuple: "list",
    dict: "mapping",
    Mapping: "mapping",
    types.NoneType: "null",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What a number has to be: above `gt`, at least `ge`, below `lt`, at most `le`; finite."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    @property
    def given(self) -> dict[str, float]:
        """The limits there are."""
        return {name: limit for name, limit in vars(self).items() if limit is not None}

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Tell pydantic, in whose sections these limits hold too."""
        return handler(source) | self.given

    def __str__(self) -> str:
        if self.ge is not None and self.le is not None:
            return f"{self.ge} .. {self.le}"
        words = {"gt": "above", "ge": "of at least", "lt": "below", "le": "of at most"}
        return "a number " + " and ".join(
            f"{words[name]} {self.given[name]}" for name in self.given
        )

    def hold(self, value: Any) -> bool:
        """Tell whether a value is within the limits."""
        return (
            isinstance(value, int | float)
            and math.isfinite(value)
            and (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.lt is None or value < self.lt)
            and (self.le is None or value <= self.le)
        )


def read_dataclass(cls: type[_T], values: Any, where: str, whole: bool = False) -> _T:
    """Return the dataclass that plain values describe.

    Limits are not looked at; that is for the class, see `check_limits`.

    Parameters
    ----------
    cls
        A dataclass. A field that is a dataclass itself is read from a mapping, or from a list of
        its values in order.
    values
        A mapping of names to what JSON can hold.
    where
        What stands before the name of a value in a message, such as ``"model."``.
    whole
        Whether no name may be left out, not even one that has a default.

    Raises
    ------
    ScalebedError
        If a name is missing or unknown, or a value is of the wrong type.
    """
    if not isinstance(values, Mapping):
        raise ScalebedError(f"{where.rstrip('. ')} is {values!r}, expected mapping")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for name in values:
        if name not in fields:
            raise ScalebedError(f"{where}{name} is not a value that is known here")
    for name, field in fields.items():
        optional = not (field.default is field.default_factory is dataclasses.MISSING)
        if name not in values and (whole or not optional):
            raise ScalebedError(f"{where}{name} is missing")
    hints = _hints(cls)
    return cls(**{name: _read(hints[name], values[name], f"{where}{name}") for name in values})


def check_limits(instance: Any, where: str, error: type[Exception]) -> None:
    """Check the numbers and choices of a dataclass against what its fields declare.

    Raises
    ------
    error
        Naming the first value that is beyond its limits or none of its choices.
    """
    for name, hint in _hints(instance.__class__).items():
        value = getattr(instance, name)
        if expected := _beyond(hint, value):
            raise error(f"{where}{name} is {value!r}, expected {expected}")


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _read(hint: Any, value: Any, where: str, verb: str = "is") -> Any:
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind is Annotated:
        return _read(parts[0], value, where, verb)
    if kind in (Union, types.UnionType):
        for part in parts:
            if _fits(part, value):
                return _read(part, value, where, verb)
    elif isinstance(kind, type) and dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
        if isinstance(value, list) and len(value) <= len(names):
            value = dict(zip(names, value, strict=False))
        return read_dataclass(kind, value, f"{where}.")
    elif not _fits(hint, value):
        pass
    elif kind in (list, tuple):
        return kind(_read(parts[0], item, where, "holds") for item in value)
    elif kind in (dict, Mapping):
        return {name: _read(parts[1], item, f"{where}.{name}") for name, item in value.items()}
    else:
        return value
    raise ScalebedError(f"{where} {verb} {value!r}, expected {_word(hint)}")


def _fits(hint: Any, value: Any) -> bool:
    """Tell whether a value is of a type, what it holds left aside."""
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind is Annotated:
        return _fits(parts[0], value)
    if kind in (Union, types.UnionType):
        return any(_fits(part, value) for part in parts)
    if kind is Literal:
        return type(value) in {type(choice) for choice in parts}
    if kind in (list, tuple):
        return isinstance(value, list)
    if kind in (dict, Mapping) or dataclasses.is_dataclass(kind):
        return isinstance(value, Mapping)
    # A whole number is a number, but true and false are none.
    return type(value) is kind or (kind is float and type(value) is int)


def _word(hint: Any) -> str:
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind is Annotated:
        return _word(parts[0])
    if kind in (Union, types.UnionType):
        return " or ".join(_word(part) for part in parts)
    if kind is Literal:
        return " or ".join(map(str, parts))
    return _WORDS.get(kind, "mapping")


def _beyond(hint: Any, value: Any) -> str | None:
    """Return what was expected if a value is beyond its limits or none of the choices."""
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind is Annotated:
        # An inner annotation's limits stand here too, before those that are put on top of it.
        merged: dict[str, float] = {}
        for item in parts[1:]:
            merged |= item.given if isinstance(item, Limits) else {}
        limits = Limits(**merged)
        return None if limits.hold(value) else str(limits)
    if kind in (Union, types.UnionType):
        # That it may be null makes no number of another kind right.
        kinds = [part for part in parts if (part is types.NoneType) == (value is None)]
        found = [_beyond(part, value) for part in kinds]
        return None if None in found else " or ".join(map(str, found))
    if kind is Literal and value not in parts:
        return " or ".join(map(str, parts))
    return None
