"""Figures inside the page: packed, drawn when they come into sight, and allowed by name only.

A page holds each figure twice: a still picture, which is there at once and is what is printed, and
the specification that Vega draws in its place. Both are compressed, since Vega-Lite repeats the
names of columns in every row and SVG the style of every mark.
"""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from scalebed.core.files import read_text
from scalebed.report.figures.javascript import SCRIPT
from scalebed.study.figures import FIGURES

_SIZE = re.compile(r'<svg[^>]*?\swidth="([\d.]+)"[^>]*?\sheight="([\d.]+)"')
_PLACE = re.compile(r'\b(?:d|transform)="[^"]*"')
_FRACTION = re.compile(r"(\d\.\d\d)\d+")
_SPOKEN = re.compile(r' aria-[a-z]+="[^"]*"')


def page_parts(chosen: Mapping[str, Mapping[str, Any]], drawn: Path) -> dict[str, Any]:
    """Return what the layout of a page takes: figures, scripts and the policy that names them.

    Parameters
    ----------
    chosen
        Figures asked for by name: what is plotted, title, options.
    drawn
        Folder of the figures and of the script that draws them.
    """
    folder = files("scalebed.report") / "template"
    own = (folder / "report.js").read_text(encoding="utf-8")
    vega = read_text(drawn / SCRIPT)
    found = [_figure(name, chosen[name], drawn) for name in _in_order(chosen)]
    shown = [figure for figure in found if figure["empty"] is None]
    first: dict[str, dict[str, Any]] = {}
    for figure in shown:
        # The same words are not to be read twice.
        figure["like"] = first.get(figure["caption"])
        first.setdefault(figure["caption"], figure)
    return {
        "figures": shown,
        "not_drawn": [figure for figure in found if figure["empty"] is not None],
        "script": Markup(own),
        "vega": packed(vega),
        "policy": policy(own, vega),
    }


def packed(text: str) -> Markup:
    """Return text as base64 of gzip, which a browser unpacks by itself; the same every time."""
    return Markup(base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode())


def unpacked(text: str) -> str:
    """Return what `packed` was given."""
    return gzip.decompress(base64.b64decode(text)).decode()


def policy(*scripts: str) -> str:
    """Return a content security policy under which these scripts run, and nothing else does.

    Styles may stand inside the page: Vega writes some, and style cannot send anything out when no
    source but the page itself is allowed.
    """
    sums = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{value}'" for value in sums)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _in_order(chosen: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the usual figures in their order, then the others as they were given.

    Parameters of rules arrive by alphabet.
    """
    usual = [name for name in FIGURES if name in chosen]
    return [*usual, *(name for name in chosen if name not in usual)]


def _figure(name: str, entry: Mapping[str, Any], drawn: Path) -> dict[str, Any]:
    text, svg = (read_text(drawn / f"{name}.{kind}") for kind in ("json", "svg"))
    spec = json.loads(text)
    words = spec.pop("usermeta")
    # The page has the title as a heading.
    title = spec.pop("title", None)
    title = title if isinstance(title, str) else words["title"]
    width, height = _SIZE.findall(svg)[0]
    return {
        "name": name,
        "title": entry["title"] or title,
        "caption": words["caption"],
        "empty": words.get("empty"),
        "spec": packed(json.dumps(spec, separators=(",", ":"), ensure_ascii=False)),
        "still": packed(_still(svg, title)),
        "width": round(float(width)),
        "height": round(float(height)),
    }


def _still(svg: str, title: str) -> str:
    """Return a picture without its title, with what nobody sees left out."""
    svg = svg.replace(f">{escape(title, quote=False)}</text>", "></text>", 1)
    # No screen reader looks into a picture, and a hundredth of a pixel is as good as any.
    return _PLACE.sub(lambda place: _FRACTION.sub(r"\1", place.group()), _SPOKEN.sub("", svg))
