"""What a report says of the compute of a study, against sums by hand."""

from types import SimpleNamespace

import pytest

from scalebed.report.answer import wilson
from scalebed.report.facts import compute


def cell(dataset, flops, seconds, role="", done=True):
    roles = {"fit_loss": role == "loss", "fit": role in ("loss", "fit"), "target": role == "target"}
    alone = {"steps": 10, "trunk": None, "trunk_steps": None}
    return {"dataset": dataset, "flops": flops, "seconds": seconds, "done": done} | roles | alone


def test_cells_are_counted_by_what_they_are_for():
    rows = [
        cell("one", 1.0, 1, "loss"),
        cell("one", 2.0, 2, "fit"),
        cell("one", 4.0, 4, "loss", done=False),
        cell("one", 64.0, 8, "target"),
        cell("one", 8.0, 16),
        cell("one", 16.0, 32),
        cell("two", 5.0, 64),
    ]
    one, two = compute(SimpleNamespace(rows=lambda query: rows))
    assert (one["fit_cells"], one["fit_flops"], one["fit_loss_flops"]) == (3, 3.0, 1.0)
    assert (one["largest"], one["fit_seconds"]) == (2.0, 7)
    assert (one["targets"], one["target_flops"], one["target_seconds"]) == (1, 64.0, 8)
    assert (one["other_cells"], one["other_flops"]) == (2, 24.0)
    assert (one["saved"], one["ratio"]) == (61.0, 64 / 3)
    assert (two["fit_cells"], two["targets"], two["other_cells"], two["ratio"]) == (0, 0, 1, None)


def test_a_share_is_told_with_its_95_per_cent_interval():
    """Wilson's of 81 of 263, from Newcombe (1998)."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
