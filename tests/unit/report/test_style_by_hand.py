import json
import re

import pandas as pd

from scalebed.report.figures import decisions, exponent_by_ratio
from scalebed.report.figures.style import CATEGORIES, MAX_COLUMNS, Style


def test_panels_beyond_a_row_are_as_wide_as_those_of_a_full_row():
    style = Style()
    assert style.panel(3 * MAX_COLUMNS) == style.panel(MAX_COLUMNS)
    assert style.panel(MAX_COLUMNS)["width"] < style.panel(1)["width"]


def luminance(colour):
    """Relative luminance of sRGB, as WCAG 2.1 defines it; channels from 0 to 1."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_lines_stand_out_of_the_bands_of_their_colour():
    """At least 3 to 1, as WCAG 2.1 asks of graphics (1.4.11), for blue and what is over it."""
    blue = [int(CATEGORIES[0][i : i + 2], 16) / 255 for i in (1, 3, 5)]
    best = {"dataset": "red", "flops": [1e18, 1e19], "params": [1e8, 3e8]}
    ends = {"params_lower": [8e7, 2e8], "params_upper": [2e8, 5e8]}
    wasted = {"dataset": "red", "decades": 1.0, "params": [1e8, 3e8], "regret": [0.0, 0.1]}
    charts = (
        decisions._optimum(pd.DataFrame(best | ends)),
        decisions._valley(pd.DataFrame(wasted | {"regret_most": [0.02, 0.2]})),
    )
    for chart in charts:
        (band,) = [
            layer["mark"] for layer in chart.to_dict()["layer"] if layer["mark"]["type"] == "area"
        ]
        shade = [1 - band["opacity"] * (1 - channel) for channel in blue]
        assert (luminance(shade) + 0.05) / (luminance(blue) + 0.05) > 3
        # Paper is 5.2 to 1; a band has to be seen as well.
        assert 1.05 / (luminance(shade) + 0.05) > 1.1


def test_token_multipliers_of_thousands_are_counted():
    """From 20 to 2560 by 1, 2 and 5: 20, 50, 100, 200, 500, 1k and 2k."""
    rows = {"M": [20.0, 640.0, 2560.0], "eta": 0.2, "low": 0.1, "high": 0.3, "joint": 0.2, "E": 1.7}
    frame = pd.DataFrame(rows | {"dataset": "red", "cells": 4, "floor": exponent_by_ratio._SHARED})
    drawn = json.dumps(exponent_by_ratio._draw(frame, Style()).to_dict(), ensure_ascii=False)
    (labels,) = set(re.findall(r'"labelExpr": "([^"]*)"', drawn))
    assert re.findall(r"\? '([^']*)'", labels) == ["20", "50", "100", "200", "500", "1k", "2k"]
