"""Charts as files: a self-contained HTML page, SVG and PNG, all without a network."""

import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt
import vl_convert

from scalebed.core.errors import ScalebedError
from scalebed.core.files import atomic_path, read_text, write_text
from scalebed.report.figures.javascript import javascript, vega_lite
from scalebed.report.figures.style import parse_style, theme
from scalebed.tables.arrow import read_parquet
from scalebed.tables.reader import StudyDatabase

if TYPE_CHECKING:
    import pandas as pd

    from scalebed.report.figures.registry import Figure

_SIGNIFICANT = 6
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<title>{title}</title>
</head>
<body>
<div id="figure"></div>
<script>{script}</script>
<script>
window.vegaEmbed("#figure", {spec}, {{"renderer": "svg"}}).catch(console.error);
</script>
</body>
</html>
"""
_NUMBERED = re.compile(r"\b(clip|gradient_)(\d+)\b")


def specification(
    figure: "Figure", study: StudyDatabase, params: dict[str, Any], explored: Path | None = None
) -> dict[str, Any]:
    """Return the Vega-Lite specification of a figure.

    Parameters
    ----------
    figure
        The module that draws it (`scalebed.report.figures.registry.get_figure`).
    study
        Where its data come from.
    params
        Options of the figure, as a study file gives them.
    explored
        What `scalebed explore` computed for it, if the figure shows such a thing.

    Raises
    ------
    ScalebedError
        If an option is unknown, or nothing was explored for a figure that shows it.
    """
    name = figure.__name__.rpartition(".")[2]
    style = parse_style(name, params, getattr(figure, "OPTIONS", {}))
    with alt.data_transformers.enable("default", max_rows=None):
        spec = figure.chart(study, style, *_explored(figure, explored)).to_dict()
    spec["config"] = theme()
    return _rounded(spec)


def _explored(figure: "Figure", path: Path | None) -> tuple["pd.DataFrame", ...]:
    """Return the table a figure draws beside the database, if it draws one."""
    if not hasattr(figure, "EXPLORED"):
        return ()
    if path is None:
        name = figure.__name__.rpartition(".")[2]
        raise ScalebedError(
            f"figure {name} shows what `scalebed explore {name}` computes, and has no file of it"
        )
    return (read_parquet(path).to_pandas(),)


def _rounded(value: Any) -> Any:
    """Return a specification with fewer digits in its data: a third of the size, same picture."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items() if key != "datasets"} | (
            {"datasets": {key: _rounded_rows(rows) for key, rows in value["datasets"].items()}}
            if "datasets" in value
            else {}
        )
    return value


def _rounded_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            key: float(f"{item:.{_SIGNIFICANT}g}") if isinstance(item, float) else item
            for key, item in row.items()
            if item is not None
        }
        for row in rows
    ]


def to_svg(spec: dict[str, Any]) -> str:
    """Return a figure as SVG."""
    svg: str = vl_convert.vegalite_to_svg(json.dumps(spec), vl_version=vega_lite())
    # The converter numbers clip paths and gradients on and on within one process.
    order = {name: index for index, name in enumerate(dict.fromkeys(_NUMBERED.findall(svg)))}
    return _NUMBERED.sub(lambda found: f"{found.group(1)}{order[found.groups()]}", svg)


def to_html(spec: dict[str, Any], title: str, script: str) -> str:
    """Return a figure as a page; `script` is what `javascript` gives."""
    # A tag inside a script element could close it, or keep its end tag from closing it.
    text = json.dumps(spec).replace("<", "\\u003c")
    return _PAGE.format(title=html.escape(title), script=script, spec=text)


def save(
    figure: "Figure",
    study: StudyDatabase,
    params: dict[str, Any],
    prefix: Path,
    explored: Path | None = None,
    script: Path | None = None,
) -> tuple[Path, Path, Path, Path]:
    """Write ``<prefix>.html``, ``.svg``, ``.png`` and, for the report, ``.json``: their paths.

    The last one tells title and caption as well, and of a figure without data why, so that the
    report need not ask the figure.
    `script` is the file of `scalebed.report.figures.javascript.bundle_script`, if there is one.
    """
    spec = specification(figure, study, params, explored)
    scale = float(params.get("png_scale", 2.0))
    kinds = ("html", "svg", "png", "json")
    page, svg, png, text = (prefix.with_name(f"{prefix.name}.{kind}") for kind in kinds)
    vector = to_svg(spec)
    vega = javascript() if script is None else read_text(script)
    write_text(page, to_html(spec, figure.TITLE, vega))
    write_text(svg, vector)
    with atomic_path(png) as temporary:
        temporary.write_bytes(vl_convert.svg_to_png(vector, scale=scale))
    words = {"title": figure.TITLE, "caption": figure.CAPTION}
    told = {"usermeta": spec.get("usermeta", {}) | words}
    write_text(text, json.dumps(spec | told, separators=(",", ":"), ensure_ascii=False))
    return page, svg, png, text
