"""Read YAML from people, whatever PyYAML makes of it."""

from typing import Any

import yaml


def parse_yaml(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """Return the value that a text in YAML stands for.

    Raises
    ------
    yaml.YAMLError
        If it is no YAML, or a value in it cannot be read.
    """
    try:
        return yaml.load(text, loader)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        # What PyYAML says of a date that there is not, a number of thousands of digits and more.
        reason = f"{type(error).__name__}: {error}"
        raise yaml.YAMLError(f"a value cannot be read ({reason})") from error
