"""Which law extrapolates best: a tournament over the extrapolations a study allows."""

from __future__ import annotations

from scalebed.tournament.play import Rules, run_tournament
from scalebed.tournament.rows import write
from scalebed.tournament.splits import FAMILIES, Split, make_splits
from scalebed.tournament.verdict import verdicts

__all__ = [
    "FAMILIES",
    "Rules",
    "Split",
    "make_splits",
    "run_tournament",
    "verdicts",
    "write",
]
