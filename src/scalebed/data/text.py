"""The one place where text is made uniform before it becomes a document.

Prose also comes out of machine-readable manuals: JSON trees whose descriptions carry HTML.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

# Typography differs between sources far more than language does; with quotes, dashes and blanks
# made equal, the default corpora are > 99.9 % ASCII and a small vocabulary is not spent on it.
_TYPOGRAPHY = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u2032": "'",
        "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201f": '"', "\u2033": '"',
        "\u2010": "-", "\u2011": "-", "\u2212": "-",
        "\u2012": "--", "\u2013": "--", "\u2014": "--", "\u2015": "--",
        "\u2026": "...",
        "\u00a0": " ", "\u2007": " ", "\u2009": " ", "\u200a": " ", "\u202f": " ",
        "\u00ad": None, "\u200b": None, "\u2060": None, "\ufeff": None,
    }
)  # fmt: skip
_LINE_ENDS = re.compile(r"\r\n?|\u2028|\u2029|\x0b|\x0c")
_BLANKS = re.compile(r"[ \t]+")
_TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)
_AROUND_LINE_END = re.compile(r" *\n *")
_EMPTY_LINES = re.compile(r"\n{3,}")
_BLOCK = re.compile(
    r"</?(?:p|div|li|ul|ol|dl|dt|dd|tr|table|h\d|br|note|important|pre)\b[^>]*>", re.I
)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--.*?-->", re.DOTALL)


def normalise_prose(text: str) -> str:
    r"""Return `text` in NFC with straight quotes, ``--`` for dashes and single blanks.

    Line ends become ``\n``, blanks at both ends of lines go, and at most one empty line separates
    paragraphs. The result is stable: normalising it again changes nothing.
    """
    # Most texts are short and have little to replace, which is sooner seen than done.
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).translate(_TYPOGRAPHY)
    text = _LINE_ENDS.sub("\n", text)
    if "\t" in text or "  " in text:
        text = _BLANKS.sub(" ", text)
    if " \n" in text or "\n " in text:
        text = _AROUND_LINE_END.sub("\n", text)
    if "\n\n\n" in text:
        text = _EMPTY_LINES.sub("\n\n", text)
    return unicodedata.normalize("NFC", text.strip())


def normalise_code(text: str) -> str:
    r"""Return `text` in NFC with ``\n`` line ends and no trailing blanks; indentation stays."""
    text = _LINE_ENDS.sub("\n", unicodedata.normalize("NFC", text))
    return _TRAILING.sub("", text).strip("\n")


def strip_html(text: str) -> str:
    """Return the prose of an HTML fragment: block tags end a line, other tags vanish."""
    if "<" in text:
        text = _TAG.sub("", _BLOCK.sub("\n", text))
    text = html.unescape(text)
    return "\n".join(line for line in normalise_prose(text).split("\n") if line)


def strings_at(tree: Any, key: str) -> Iterator[str]:
    """Yield every string stored under `key` anywhere in a JSON tree, in the tree's order."""
    waiting: list[Any] = [tree] if isinstance(tree, dict | list) else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            waiting += [
                value
                for name, value in reversed(node.items())
                if isinstance(value, dict | list) or (name == key and isinstance(value, str))
            ]
        else:
            waiting += [value for value in reversed(node) if isinstance(value, dict | list)]


def first_occurrences(texts: Iterator[str], seen: set[str]) -> list[str]:
    """Return the texts that are not empty and not in `seen`, and add them to it."""
    fresh = []
    for text in texts:
        if text and text not in seen:
            seen.add(text)
            fresh.append(text)
    return fresh
