"""A hyper-parameter search before a study: its configurations, its frontier, and what it cost."""

from scalebed.search.choose import choose
from scalebed.search.read import read_grid

__all__ = ["choose", "read_grid"]
