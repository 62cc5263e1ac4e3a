"""Public tables of runs, fitted as their authors did: our numbers beside theirs, on one page.

    python benchmarks/zoo.py                                # fetches the tables: make zoo
    python benchmarks/zoo.py --tables ../shared/zoo         # make zoo ZOO=../shared/zoo
    python benchmarks/zoo.py --only sardana --draws 200

A table is a file of config/zoo, see docs/zoo.md. The page is results/zoo/zoo.md, its numbers are
in results/zoo/zoo.json.
"""

from __future__ import annotations

import sys
from pathlib import Path

# numba asks for the package `coverage`, which is not the file beside this one.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.compared.tables import main

if __name__ == "__main__":
    sys.exit(main())
