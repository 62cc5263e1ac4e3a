"""The cases of `benchmarks/coverage.py`."""
