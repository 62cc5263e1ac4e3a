"""What laws are made of: their interface, families of one solver, derivatives, starts."""
