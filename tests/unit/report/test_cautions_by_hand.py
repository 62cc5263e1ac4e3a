"""Cautions about coverage, on rows at the edge, and ratios as they are written."""

import pytest

from scalebed.report.cautions import FEW_HELD_OUT, Evidence, thin_coverage
from scalebed.report.numbers import duration, times


def row(cells, covered, high):
    named = {"dataset": "d", "response": "val", "domain": "up to 4"}
    return named | {"level": 0.9, "cells": cells, "covered": covered, "high": high}


@pytest.mark.parametrize(
    ("rows", "serious", "items"),
    [
        ([row(20, 12, 0.89)], True, ["d, val, up to 4: 12 of 20 held-out cells inside, clearly "]),
        ([row(20, 15, 0.9)], None, []),
        ([row(20, 15, 0.95)], None, []),
        ([row(FEW_HELD_OUT, 9, 0.99)], None, []),
        ([row(FEW_HELD_OUT - 1, 9, 0.99)], False, ["d, val, up to 4: only 9 held-out cells"]),
        ([row(1, 1, 1.0)], False, ["d, val, up to 4: only 1 held-out cell"]),
        ([row(3, 0, 0.6)], True, ["d, val, up to 4: 0 of 3 held-out cells inside, clearly "]),
        ([], False, ["no cell was held out: calibration was not tested at all"]),
    ],
)
def test_coverage_is_thin_where_its_interval_ends_below_the_level(rows, serious, items):
    found = list(thin_coverage(Evidence(None, None, [], [], [], rows)))
    assert [caution.serious for caution in found] == ([] if serious is None else [serious])
    said = [item for caution in found for item in caution.items]
    assert len(said) == len(items)
    assert all(one.startswith(start) for one, start in zip(said, items, strict=True))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((12.4, "12×"), (9.95, "10×"), (9.94, "9.9×"), (0.995, "1.0×"), (0.994, "0.99×")),
        *((0.0123, "0.012×"), (None, "–"), (float("inf"), "–")),
    ],
)
def test_ratios_keep_two_digits(value, text):
    assert times(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_a_time_is_written_in_the_larger_unit_from_two_of_them_on(seconds, text):
    assert duration(seconds) == text
