"""scalebed: scaling-law studies of language models, end to end.

A study is a YAML file. Its cells (data set, size, token multiplier, recipe, seed) are trained,
evaluated and gathered; laws are fitted, bootstrapped and used to predict larger runs.
"""

__version__ = "0.1.0"
