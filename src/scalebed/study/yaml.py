"""Read YAML in which no key is given twice, and say what a typed section complains about."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from scalebed.core.errors import ScalebedError


def first_complaint(error: ValidationError) -> str:
    """Return the first complaint as ``key: value: what was expected``."""
    details = error.errors(include_url=False)
    first = details[0]
    key = ".".join(str(part) for part in first["loc"])
    text = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        text = "unknown key"
    elif first["type"] not in ("value_error", "missing"):
        text = f"{text} (found {first['input']!r})"
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{key}: {text}{more}" if key else f"{text}{more}"


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error instead of silently the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            # A list as a key is refused by the parent class, in words of its own.
            if not isinstance(key, Hashable):
                continue
            if key in seen:
                raise ScalebedError(f"line {key_node.start_mark.line + 1}: {key} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_study(path: str | Path) -> Any:
    """Return the values of a YAML file in which no key may be given twice.

    Raises
    ------
    ScalebedError
        If the file cannot be read or is no such YAML.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        return yaml.load(text, Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise ScalebedError(f"cannot read the study file {path}: {error}") from error
    except yaml.YAMLError as error:
        raise ScalebedError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    except ScalebedError as error:
        raise ScalebedError(f"{path}: {error}") from error
