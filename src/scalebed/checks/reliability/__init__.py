"""How far the error of each task can be predicted from the loss."""

from __future__ import annotations

from scalebed.checks.reliability.classes import CLASSES, classify_tasks, write

__all__ = ["CLASSES", "classify_tasks", "write"]
