"""Prose out of machine-readable manuals: JSON trees whose descriptions carry HTML."""

import html
import re
from collections.abc import Iterator
from typing import Any

from scalebed.data.text import normalise_prose

_BLOCK = re.compile(
    r"</?(?:p|div|li|ul|ol|dl|dt|dd|tr|table|h\d|br|note|important|pre)\b[^>]*>", re.I
)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--.*?-->", re.DOTALL)


def strip_html(text: str) -> str:
    """Return the prose of an HTML fragment: block tags end a line, other tags vanish."""
    text = html.unescape(_TAG.sub("", _BLOCK.sub("\n", text)))
    return "\n".join(line for line in normalise_prose(text).split("\n") if line)


def strings_at(tree: Any, key: str) -> Iterator[str]:
    """Yield every string stored under `key` anywhere in a JSON tree, in the tree's order."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key and isinstance(value, str):
                yield value
            else:
                yield from strings_at(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from strings_at(value, key)


def first_occurrences(texts: Iterator[str], seen: set[str]) -> list[str]:
    """Return the texts that are not empty and not in `seen`, and add them to it."""
    fresh = []
    for text in texts:
        if text and text not in seen:
            seen.add(text)
            fresh.append(text)
    return fresh
