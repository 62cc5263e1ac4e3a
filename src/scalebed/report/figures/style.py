"""How figures look: options of a study file, one theme, colours that survive colour blindness."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt

from scalebed.core.errors import ScalebedError
from scalebed.report.numbers import compact, superscript

# Okabe and Ito's palette without yellow, which is too light for marks on white.
CATEGORIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
INK, MUTED, GRID = "#1f2933", "#52606d", "#e4e7eb"
# The yellow end of viridis is cut off for the same reason.
SEQUENCE = alt.SchemeParams(name="viridis", extent=[0.0, 0.85])
ROLES = ("fit", "held out", "target")
ROLE_SHAPES = ("circle", "square", "diamond")
MAX_COLUMNS = 3
_PAGE_WIDTH = 840
_MAX_LEGEND = 12


@dataclass(frozen=True)
class Style:
    """Options of one figure.

    Attributes
    ----------
    width, height
        Size of one panel in pixels; None chooses by the number of panels.
    png_scale
        Pixels of the PNG per pixel of the figure.
    options
        Options of this figure alone.
    """

    width: int | None = None
    height: int | None = None
    png_scale: float = 2.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def panel(self, panels: int, ratio: float = 1.0) -> dict[str, float]:
        """Return width and height of each of `panels` panels; `ratio` is height over width."""
        width = self.width or _PAGE_WIDTH // max(1, min(panels, MAX_COLUMNS))
        return {"width": min(width, 500), "height": self.height or min(300, ratio * width)}


def parse_style(figure: str, params: Mapping[str, Any], defaults: Mapping[str, Any]) -> Style:
    """Return the style that a study file asks for.

    Parameters
    ----------
    figure
        Name of the figure, for messages.
    params
        Options given; ``width``, ``height``, ``png_scale`` and those in `defaults`.
    defaults
        Options of this figure with their default values, whose type the given ones must have.

    Raises
    ------
    ScalebedError
        If an option is unknown or of another type.
    """
    common = {"width": 300, "height": 300, "png_scale": 2.0}
    known = {**common, **defaults}
    for key, value in params.items():
        if key not in known:
            raise ScalebedError(
                f"figure {figure}: unknown option {key!r}; there is {', '.join(known)}"
            )
        wanted = (int, float) if isinstance(known[key], float) else (type(known[key]),)
        positive = key not in common or (type(value) in (int, float) and value > 0)
        if type(value) not in wanted or not positive:
            raise ScalebedError(
                f"figure {figure}: option {key!r} is {value!r}, "
                f"expected a value like {known[key]!r}"
            )
    own = {key: params.get(key, default) for key, default in defaults.items()}
    return Style(**{key: params[key] for key in common if key in params}, options=own)


def theme() -> dict[str, Any]:
    """Return the Vega-Lite configuration that all figures share."""
    font = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif"
    return {
        "font": font,
        "background": "white",
        "padding": 8,
        "view": {"stroke": "#cbd2d9"},
        "title": {
            "anchor": "start",
            "fontSize": 14,
            "fontWeight": 600,
            "color": INK,
            "subtitleColor": MUTED,
            "subtitleFontSize": 12,
            "offset": 10,
        },
        "axis": {
            "labelFontSize": 11,
            "titleFontSize": 12,
            "titleFontWeight": 500,
            "labelColor": MUTED,
            "titleColor": INK,
            "gridColor": GRID,
            "domainColor": "#9aa5b1",
            "tickColor": "#9aa5b1",
            "labelOverlap": True,
            "labelSeparation": 4,
        },
        "legend": {
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleFontWeight": 600,
            "labelColor": MUTED,
            "titleColor": INK,
            "symbolStrokeWidth": 1.5,
            "symbolLimit": 2 * _MAX_LEGEND,
        },
        "header": {"labelFontSize": 13, "labelFontWeight": 600, "labelColor": INK, "title": None},
    }


def message(text: str, title: str) -> alt.Chart:
    """Return a chart that says why there is nothing to draw; the report leaves it out."""
    return (
        alt.Chart(alt.Data(values=[{"text": text}]))
        .mark_text(fontSize=14, color=MUTED)
        .encode(text="text:N")
        .properties(width=500, height=120, title=title, usermeta={"empty": text})
    )


def log_axis(values: Sequence[float], title: str, count: bool = False) -> dict[str, Any]:
    """Return scale, axis and title of a logarithmic axis over `values`.

    The labels are made here, because Vega's own are either cramped or exponents in computer
    notation. Powers of ten are labelled when there are enough of them, else 1, 2 and 5.

    Parameters
    ----------
    values
        Positive data.
    title
        Title of the axis.
    count
        Label with k, M, B instead of powers of ten.
    """
    low, high = math.log10(min(values)), math.log10(max(values))
    margin = max(0.03 * (high - low), 0.02)
    low, high = low - margin, high + margin
    decades = range(math.ceil(low), math.floor(high) + 1)
    if len(decades) >= 3:
        step = math.ceil(len(decades) / 6)
        ticks = [(10.0**k, superscript(k)) for k in decades if k % step == 0]
    else:
        mantissas = (1, 2, 5) if high - low > 0.8 else (1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8)
        ticks = [
            (m * 10.0**k, superscript(k) if m == 1 else f"{m:g}·{superscript(k)}")
            for k in range(math.floor(low), math.ceil(high) + 1)
            for m in mantissas
            if low <= math.log10(m * 10.0**k) <= high
        ]
    if count or (high < 3 and low > -3):
        ticks = [(value, compact(value)) for value, _ in ticks]
    choices = [f"datum.value == {value!r} ? '{label}'" for value, label in ticks]
    return {
        "scale": alt.Scale(type="log", domain=[10**low, 10**high], nice=False),
        "axis": alt.Axis(
            values=[value for value, _ in ticks], labelExpr=" : ".join([*choices, "''"])
        ),
        "title": title,
    }


def linear_domain(values: Sequence[float], margin: float = 0.04) -> list[float]:
    """Return a domain a little wider than `values`."""
    low, high = min(values), max(values)
    space = margin * (high - low) or 0.01 * abs(high) or 1.0
    return [low - space, high + space]
