"""A hyper-parameter search before a study: what is tried, its frontier, and the ladder from it.

`sections` and `expand` say what is trained and are read by Snakemake in every job, hence without
NumPy; `choose`, `power` and `trends` judge what came of it; `rungs`, `ladder` and `propose` turn
it into the next study.
"""
