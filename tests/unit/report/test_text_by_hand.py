"""The table of predictions for a terminal, column by column."""

from types import SimpleNamespace

import pytest

from scalebed.report import answer
from scalebed.report.text import predictions_text

CELL = {
    **{"dataset": "red", "size": "7b", "ratio": 20.0, "params": 7_000_000_000},
    **{"fit_ratio": 12.0, "status": "done", "reason": None},
}
ROW = {
    **{"kind": "loss", "predicted": 2.5, "lower": 2.45, "upper": 2.55, "measured": 2.4},
    **{"deviation": 0.0417, "covered": False, "refused": False, "refusal": None},
    **{"numbers": "found: by one search", "evidence": "held: to 2x"},
}
TAKEN = [
    "red",
    "7b",
    "20",
    "7B",
    "12×",
    "loss",
    "2.5000",
    "2.4500 to 2.5500",
    "2.4000",
    "+4.17",
    "%",
]
HEADINGS = [
    *("data set", "size", "M", "N", "compute", "predicted", "interval", "measured", "deviation"),
]


@pytest.mark.parametrize("full", [False, True])
def test_statements_stand_beside_a_row_or_below_it(monkeypatch, full):
    """Twelve columns; the two statements are two more, or two lines."""
    target = SimpleNamespace(cell=CELL, loss=ROW, error=None)
    monkeypatch.setattr(answer, "targets", lambda study: [target])
    monkeypatch.setattr(answer, "summary", lambda found, kind: None)
    head, row, *below = predictions_text(None, full).rstrip("\n").split("\n")
    words = [*TAKEN, "OUTSIDE"]
    if full:
        assert below == ["    numbers: found: by one search", "    evidence: held: to 2x"]
    else:
        assert below == []
        words += ["found", "held"]
    assert row.split() == " ".join(words).split()
    shown = HEADINGS if full else [*HEADINGS, "numbers", "evidence"]
    assert head.split() == " ".join(shown).split()
