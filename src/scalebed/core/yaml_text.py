"""Read YAML from people, whatever PyYAML makes of it."""

from collections.abc import Hashable
from typing import Any

import yaml


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
                raise yaml.YAMLError(f"line {key_node.start_mark.line + 1}: {key} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> Any:
    """Return the value that a text in YAML stands for.

    Raises
    ------
    yaml.YAMLError
        If it is no YAML, a key is given twice, or a value in it cannot be read.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        # What PyYAML says of a date that there is not, a number of thousands of digits and more.
        reason = f"{type(error).__name__}: {error}"
        raise yaml.YAMLError(f"a value cannot be read ({reason})") from error
