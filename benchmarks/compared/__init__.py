"""The cases of `benchmarks/zoo.py`."""
