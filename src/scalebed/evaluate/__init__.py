"""Evaluation of trained cells: losses on validation texts and errors on downstream tasks."""
