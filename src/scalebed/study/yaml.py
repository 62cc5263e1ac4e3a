"""Read the YAML of studies, and say what a typed section complains about."""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from scalebed.core.errors import ScalebedError
from scalebed.core.shown import shortened
from scalebed.core.yaml_text import parse_yaml

_HALF = re.compile("[\ud800-\udfff]")
_GROUPED = {"missing": "Field required", "extra_forbidden": "unknown key"}


def first_complaint(error: ValidationError) -> str:
    """Return what is wrong as ``key: value: what was expected``.

    Keys that are missing or unknown are all named, as one by one they would cost a run each; of
    other complaints the first is, and the rest counted.
    """
    said: dict[str, str] = {}
    details = error.errors(include_url=False)
    others = [detail for detail in details if detail["type"] not in _GROUPED]
    for detail in details:
        kind = detail["type"] if detail["type"] in _GROUPED else ""
        if kind in said:
            continue
        if kind:
            keys = [_key(other) for other in details if other["type"] == kind]
            said[kind] = f"{', '.join(keys)}: {_GROUPED[kind]}"
        else:
            said[kind] = f"{_complaint(detail)}{_more(len(others) - 1)}"
    return "; ".join(said.values())


def _complaint(detail: Any) -> str:
    text: str = detail["msg"].removeprefix("Value error, ")
    if detail["type"] != "value_error":
        text = f"{text} (found {shortened(repr(detail['input']))})"
    return f"{_key(detail)}: {text}" if detail["loc"] else text


def _key(detail: Any) -> str:
    return ".".join(str(part) for part in detail["loc"])


def _more(count: int) -> str:
    return f" (and {count} more)" if count else ""


def read_study(path: str | Path) -> Any:
    """Return the values of a YAML file in which no key may be given twice.

    Raises
    ------
    ScalebedError
        If the file cannot be read or is no such YAML.
    """
    try:
        return parse_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ScalebedError(f"cannot read the study file {path}: {error}") from error
    except yaml.YAMLError as error:
        raise ScalebedError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error


def require_text(values: Any, where: str) -> None:
    """Refuse values with a text in them that no file can hold: one with half of a character.

    Raises
    ------
    ScalebedError
        Naming the text.
    """
    # In YAML a list can be in several places, and in itself.
    seen, found = set(), [values]
    while found:
        value = found.pop()
        if isinstance(value, str) and _HALF.search(value):
            raise ScalebedError(f"{where}: {value!r} holds half of a character, expected text")
        if isinstance(value, dict | list) and id(value) not in seen:
            seen.add(id(value))
            found += [*value, *(value.values() if isinstance(value, dict) else ())]
