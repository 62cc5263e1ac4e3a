"""Which law extrapolates best: a tournament over the extrapolations a study allows."""

from __future__ import annotations

from scalebed.checks.tournament.play import Rules, run_tournament
from scalebed.checks.tournament.rows import write
from scalebed.checks.tournament.splits import FAMILIES, Split, make_splits
from scalebed.checks.tournament.verdict import verdicts

__all__ = [
    "FAMILIES",
    "Rules",
    "Split",
    "make_splits",
    "run_tournament",
    "verdicts",
    "write",
]
