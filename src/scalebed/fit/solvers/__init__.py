"""How the least of an objective is found: exact profiles, Newton's method, compiled kernels."""
