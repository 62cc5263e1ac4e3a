"""How often intervals of the decided N* and D* cover, and whether small regrets are small.

    python benchmarks/decided.py                                 # everything, 100 tables a case
    python benchmarks/decided.py --case hoffmann --replicates 20

Runs of a known law, each with its own deviation, are written as a table, read and drawn as
`scalebed decide` does. At 1, 10 and 100 times the compute of the largest run is counted

- inside: how often N* and D* of the known law lie in their 90 % intervals (asked 85-95 %);
- small: how often a size of the range "regret under 1 % of compute in nine of ten draws" has a
  regret under 1 % under the known law; taken at its smallest, geometric middle and largest N
  (asked 90 % or more of the tables that have a range). What has no range promises nothing and is
  counted apart.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# numba asks for the package `coverage`, which is not the file beside this one.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.covered.decided import DESIGNS, cases, counted, curve_of, line, simulated
from benchmarks.covered.simulated import TRUTHS


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--draws", type=int, default=2000)
    args = parser.parse_args()
    for name, truth, design, scatter in cases(args.case):
        found = []
        for replicate in range(args.replicates):
            draw = np.random.default_rng([20261127, replicate])
            table = simulated(draw, TRUTHS[truth], DESIGNS[design], scatter)
            found.append(counted(curve_of(table, args.draws), TRUTHS[truth]))
        print(line(name, found), flush=True)


if __name__ == "__main__":
    main()
