"""How far the intervals can be trusted: coverage, width and score of every method on a study."""
