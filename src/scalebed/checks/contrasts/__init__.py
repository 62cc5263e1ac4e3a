"""Compare two data sets or recipes at a scale."""

from __future__ import annotations

from scalebed.checks.contrasts.compare import Target, contrast, contrast_all, write

__all__ = ["Target", "contrast", "contrast_all", "write"]
