"""Predictions that are sealed before a run, its live curve beside them, and who was right."""
