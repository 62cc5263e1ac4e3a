"""Tables that can be read by ear and on a narrow screen: every cell knows its heading.

The templates write plain tables. Here each heading gets its scope and each cell the name of its
column, which a narrow screen shows beside the value where the row of headings has no room.
"""

import re
from html import unescape

from markupsafe import escape

MANY = 4
"""Columns up to this many stay a table on a narrow screen."""

LONG = 20
"""Letters of a word from which on it may be broken, so that it does not push others out."""

_TABLE = re.compile(r"<table\b([^>]*)>(.*?)</table>", re.DOTALL)
_HEAD = re.compile(r"<thead>(.*?)</thead>", re.DOTALL)
_ROW = re.compile(r"<tr\b[^>]*>.*?</tr>", re.DOTALL)
_HEADING = re.compile(r"<th\b([^>]*)>(.*?)</th>", re.DOTALL)
_CELL = re.compile(r"<td\b([^>]*)>")
_SPAN = re.compile(r'colspan="(\d+)"')
_LONG = re.compile(rf"(?<=>)[^<>]*[^\s<>]{{{LONG + 1},}}[^<>]*(?=<)")
_WORD = re.compile(rf"[^\s<>]{{{LONG + 1},}}")
_PIECE = re.compile(r"(?:&[^;\s]+;|[^&]){1,12}")
_TAG = re.compile(r"<[^>]+>")


def readable(page: str) -> str:
    """Return a page whose tables have scopes, names of columns, and a class by their width."""
    return _TABLE.sub(_table, page)


def breakable(markup: str) -> str:
    """Return markup in which long words may be broken."""

    def broken(word: re.Match[str]) -> str:
        return "<wbr>".join(_PIECE.findall(word.group()))

    return _LONG.sub(lambda text: _WORD.sub(broken, text.group()), markup)


def _table(found: re.Match[str]) -> str:
    attributes, inner = found.groups()
    head = _HEAD.search(inner)
    if head is None:
        return found.group()
    columns = _columns(head.group(1))
    body = _ROW.sub(lambda row: _row(row.group(), columns), inner[head.end() :])
    body = breakable(body)
    heading = _HEADING.sub(_heading, head.group())
    kind = "cards" if len(columns) > MANY else "plain"
    if 'class="' in attributes:
        attributes = attributes.replace('class="', f'class="{kind} ', 1)
    else:
        attributes += f' class="{kind}"'
    return f"<table{attributes}>{inner[: head.start()]}{heading}{body}</table>"


def _columns(head: str) -> list[str]:
    """Return the name of each column; of two rows of headings both."""
    rows = []
    for row in _ROW.findall(head):
        names: list[str] = []
        for attributes, text in _HEADING.findall(row):
            name = unescape(_TAG.sub("", text)).strip()
            names += [name] * _spanned(attributes)
        rows.append(names)
    return [" ".join(filter(None, parts)) for parts in zip(*rows, strict=True)]


def _heading(found: re.Match[str]) -> str:
    attributes, text = found.groups()
    # A heading without words is a gap, not a heading.
    if not _TAG.sub("", text).strip():
        return f"<td{attributes}></td>"
    scope = "colgroup" if _spanned(attributes) > 1 else "col"
    return f'<th scope="{scope}"{attributes}>{text}</th>'


def _row(row: str, columns: list[str]) -> str:
    position = 0

    def cell(found: re.Match[str]) -> str:
        nonlocal position
        attributes = found.group(1)
        name = columns[position] if position < len(columns) else ""
        position += _spanned(attributes)
        if not name or "data-label" in attributes or _spanned(attributes) > 1:
            return found.group()
        return f'<td{attributes} data-label="{escape(name)}">'

    return _CELL.sub(cell, row)


def _spanned(attributes: str) -> int:
    found = _SPAN.search(attributes)
    return int(found.group(1)) if found else 1
