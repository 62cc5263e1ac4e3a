"""Ways to make an input wrong: bytes, lines, keys and values of it."""

from __future__ import annotations

import copy
import csv
import io
import json
import random
from collections.abc import Callable
from typing import Any

import yaml

HOSTILE: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 0.5, -0.0, 1e308, 1e-320, 10**30, 10**400, 2**63, -(2**63)),
    *(float("nan"), float("inf"), -float("inf"), "", " ", "x" * 5000, "a\nb", "a\x00b", "a,b"),
    *("1e999", "nan", "1_0", "１２", "0x10", "2026-01-01", "7B", "-7B", "no", "\ufeff", "\u202e"),
    *("<script>alert(1)</script>", "'; DROP TABLE cells; --", "../../etc/passwd", "/dev/null"),
    *("$(touch ran)", "`touch ran`", "\x1b[2J\x07", "{wildcards.study}", "{{ 7 * 7 }}", "%s%n"),
    *("é" * 300, "数据", "\U0001f9ea", '"', "'", "\\", [], {}, [1, 2], {"a": 1}, [[]], [None]),
)
"""Values that are seldom expected."""
_HOSTILE_BYTES = (b"\x00", b"\xff\xfe", b"\x1b[2J", b'"', b",,,", b": ", b"\t", b"\r", b"- ", b"{")

Change = Callable[[bytes, random.Random], bytes]


def flip(content: bytes, draw: random.Random) -> bytes:
    """Change some bits of one byte."""
    at = draw.randrange(len(content))
    return content[:at] + bytes([content[at] ^ draw.randrange(1, 256)]) + content[at + 1 :]


def cut_out(content: bytes, draw: random.Random) -> bytes:
    """Leave some bytes out."""
    at = draw.randrange(len(content))
    return content[:at] + content[at + draw.choice((1, 2, 10, 100)) :]


def put_in(content: bytes, draw: random.Random) -> bytes:
    """Put bytes in that mean something to a parser."""
    at = draw.randrange(len(content) + 1)
    return content[:at] + draw.choice(_HOSTILE_BYTES) + content[at:]


def truncate(content: bytes, draw: random.Random) -> bytes:
    """Leave the end out."""
    return content[: draw.randrange(len(content))]


def line(content: bytes, draw: random.Random) -> bytes:
    """Leave a line out, repeat it, or put it elsewhere."""
    lines = content.splitlines(keepends=True)
    at, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    taken = lines.pop(at)
    if draw.random() < 2 / 3:
        lines.insert(other, taken)
    if draw.random() < 0.5:
        lines.insert(at, taken)
    return b"".join(lines)


BYTES: tuple[Change, ...] = (flip, cut_out, put_in, truncate, line)


def tree(value: Any, draw: random.Random) -> Any:
    """Return nested values with one key or value other than it was."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places:
        return draw.choice(HOSTILE)
    holder, key = draw.choice(places)
    way = draw.choice(("value", "value", "drop", "rename", "wrap", "number"))
    if way == "drop":
        del holder[key]
    elif way == "rename" and isinstance(holder, dict):
        holder[draw.choice((f"{key}s", str(key).upper(), "", "<b>", 7, f"{key}\x1b"))] = holder.pop(
            key
        )
    elif way == "wrap":
        holder[key] = draw.choice(([holder[key]], {"value": holder[key]}, str(holder[key])))
    elif way == "number" and isinstance(holder[key], int | float):
        holder[key] *= draw.choice((-1, 0, 1e-300, 1e300, 10**40, 0.5))
    else:
        holder[key] = draw.choice(HOSTILE)
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else range(len(value))
    return [place for key in keys for place in ((value, key), *_places(value[key]))]


def in_yaml(content: bytes, draw: random.Random) -> bytes:
    """Change a key or value of a YAML file."""
    return yaml.safe_dump(tree(yaml.safe_load(content), draw), allow_unicode=True).encode()


def in_json(content: bytes, draw: random.Random) -> bytes:
    """Change a key or value of a JSON file."""
    return json.dumps(tree(json.loads(content), draw)).encode()


def in_csv(content: bytes, draw: random.Random) -> bytes:
    """Change a name, a value, a column or a row of a table."""
    rows = list(csv.reader(io.StringIO(content.decode())))
    at, row = draw.randrange(len(rows[0])), draw.randrange(1, len(rows))
    way = draw.choice(("value", "value", "column", "name", "drop", "again", "short"))
    if way == "value":
        rows[row][at] = str(draw.choice(HOSTILE))
    elif way == "column":
        value = str(draw.choice(HOSTILE))
        rows[1:] = [[*row[:at], value, *row[at + 1 :]] for row in rows[1:]]
    elif way == "name":
        other = (*rows[0], "error", "loss_x", "error_x", "status", "seed", "unique_tokens")
        rows[0][at] = draw.choice((*other, str(draw.choice(HOSTILE))))
    elif way == "drop":
        rows = [[*row[:at], *row[at + 1 :]] for row in rows]
    elif way == "again":
        rows.append(list(rows[row]))
    else:
        rows[row] = rows[row][:at]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def changed(content: bytes, ways: tuple[Change, ...], draw: random.Random) -> bytes:
    """Return a file with one to three changes; what cannot be parsed any more changes as bytes."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        way = draw.choice((*ways, *ways, *BYTES))
        try:
            content = way(content, draw) if content else content
        except Exception:
            content = draw.choice(BYTES[:4])(content, draw)
    return content
