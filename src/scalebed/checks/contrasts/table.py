"""Table ``contrasts``: data sets pair by pair."""

from __future__ import annotations

from collections.abc import Sequence

from scalebed.tables.declared.columns import Table, count, number, text

TABLE = Table(
    "contrasts",
    "Data sets pair by pair at a target: which is better, and by how much compute.",
    ("a", "b", "kind", "response", "params", "tokens"),
    (
        text("a", "Training set A"),
        text("b", "Training set B"),
        text("kind", "What is predicted: loss or error"),
        text("response", "Validation set (loss), or task or 'average' (error)"),
        number("params", "N of the target"),
        number("tokens", "D of the target", "tokens"),
        number("flops", "C = 6 N D", "FLOPs"),
        number("predicted_a", "Prediction for A", nullable=True),
        number("predicted_b", "Prediction for B", nullable=True),
        number("difference", "Prediction for B minus that for A", nullable=True),
        number("difference_lower", "Lower end of its interval", nullable=True),
        number("difference_upper", "Upper end of its interval", nullable=True),
        number("p_better", "Probability that the law of A is lower", "fraction", nullable=True),
        number(
            "p_better_run",
            "Probability that a run on A ends lower than one on B",
            "fraction",
            nullable=True,
        ),
        number(
            "multiplier",
            "How many times the target's compute B needs, at the same M, for what A reaches",
            nullable=True,
        ),
        number("multiplier_lower", "Lower end of its interval", nullable=True),
        number("multiplier_upper", "Upper end; missing if unbounded", nullable=True),
        number("level", "Probability content of the intervals", "fraction", nullable=True),
        count("draws", "Draws the probabilities rest on", nullable=True),
        count("matched", "Runs of the fits alike in N, D and seed", nullable=True),
        number(
            "correlation", "Correlation of the two predictions, mean of the draws", nullable=True
        ),
        number("reach", "Target's compute over the largest run fitted", nullable=True),
        text("status", "Whether there is a comparison"),
        text("notes", "What to know about it", nullable=True),
        text("sentence", "All this in words", nullable=True),
    ),
)

_BETWEEN = "; "


def listed(notes: Sequence[str]) -> str:
    """Return notes as one text that `parted` takes apart again, whatever names are in them."""
    return _BETWEEN.join(note.replace(_BETWEEN, ", ") for note in notes)


def parted(told: str | None) -> list[str]:
    """Return the notes of a row."""
    return told.split(_BETWEEN) if told else []
