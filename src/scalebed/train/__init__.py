"""Training of one cell: optimiser, schedule, loop, exact resume, record."""
