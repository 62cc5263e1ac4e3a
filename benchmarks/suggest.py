"""What suggested runs are worth, held against random ones and published numbers.

    python benchmarks/suggest.py                  # ten repeats, 1,000 random designs: half an hour
    python benchmarks/suggest.py --repeats 2 --designs 100

The rules stand in `benchmarks/suggested/`. Data that are not there are left out.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# numba asks for the package `coverage`, which is no file of this folder.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.suggested import repeated, testbed


def shared(name: str) -> Path:
    """Return the folder of published data."""
    beside = Path(__file__).resolve().parents[2] / "shared" / name
    return Path(os.environ.get(f"SCALEBED_{name.upper()}", beside))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--designs", type=int, default=1000)
    parser.add_argument("--testbed", type=Path, default=shared("testbed"))
    parser.add_argument("--zoo", type=Path, default=shared("zoo"))
    args = parser.parse_args()
    cases = (
        ("zoo", args.zoo, repeated.lines, args.repeats),
        ("testbed", args.testbed, testbed.lines, args.designs),
    )
    for name, folder, lines, count in cases:
        if not folder.is_dir():
            print(f"no {name} at {folder}: --{name} or SCALEBED_{name.upper()} names its folder")
            continue
        for line in lines(folder, count):
            print(line, flush=True)


if __name__ == "__main__":
    main()
