"""What a reader of a corpus hands over, and how its options are checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from scalebed.core.errors import ScalebedError


class Document(NamedTuple):
    """A text and the id that decides its split and its place in the order."""

    id: str
    text: str


class Description(NamedTuple):
    """Where the text of a corpus comes from and on whose terms."""

    source: dict[str, Any]
    licence: str
    credit: str


@dataclass(frozen=True)
class Option:
    """One option of a reader: accepted types, default (`REQUIRED` if there is none), meaning."""

    types: tuple[type, ...]
    default: Any
    help: str
    choices: tuple[Any, ...] = ()


REQUIRED = object()


def check_options(
    reader: str, known: Mapping[str, Option], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return `options` with defaults filled in.

    Raises
    ------
    ScalebedError
        On an unknown option, one of a wrong type or value, or a missing required one.
    """
    for name in options:
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            raise ScalebedError(
                f"reader {reader}: option {name!r} is unknown, its options are: {allowed}"
            )
    return {name: _value(reader, name, option, options) for name, option in known.items()}


def _value(reader: str, name: str, option: Option, options: Mapping[str, Any]) -> Any:
    value = options.get(name)
    if value is None:
        if option.default is REQUIRED:
            raise ScalebedError(f"reader {reader}: option {name!r} is missing ({option.help})")
        return option.default
    fits = isinstance(value, option.types) and (bool in option.types or not isinstance(value, bool))
    if not fits:
        expected = " or ".join(kind.__name__ for kind in option.types)
        raise ScalebedError(f"reader {reader}: option {name} is {value!r}, expected {expected}")
    if option.choices and value not in option.choices:
        allowed = ", ".join(map(str, option.choices))
        raise ScalebedError(f"reader {reader}: option {name} is {value!r}, expected {allowed}")
    return value
