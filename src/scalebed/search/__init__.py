"""After a hyper-parameter search: laws and trends of what was tried, and the ladder they propose.

What is tried is declared in `scalebed.study.search`, and its frontier is marked where tables are
made, in `scalebed.tables.imports.frontier`. `summary`, `power` and `trends` judge what came of it;
`rungs`, `ladder` and `propose` turn it into the next study.
"""
