"""Training of one cell by several processes: how they start, divide the work and save."""
