"""open_lm, the engine of arXiv 2403.08540: training with it, and reading its checkpoints."""
