"""What faults do to a study: campaigns that are the same again with the same seed.

    python benchmarks/faults.py corruptions FOLDER --count 5000 --seed 1
    python benchmarks/faults.py healings FOLDER --count 20 --together 4 --seed 1
    python benchmarks/faults.py inputs --count 10000 --seed 1
    python benchmarks/faults.py kills FOLDER --count 500 --seed 1
    python benchmarks/faults.py conditions FOLDER --count 1000 --seed 1

FOLDER holds ``results`` and ``state`` of a study that ran to its end; for `healings` and
`conditions` it is a checkout with ``study.yaml`` whose study takes a minute, and it is copied.
Nothing is written into it. For `kills` it is a folder to work in. What came out is in
docs/reliability.md.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

# numba asks for the package `coverage`, which is not the file beside this one.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).parent / "faulted"))

# Arrow's allocator starts a thread of its own when it is loaded, unless told not to; jobs of
# `conditions` are forked from a process with one.
os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"

# Imported in `main`: what `kills` forks its runs from imports this file as well, and nothing else.
CAMPAIGNS = ("corruptions", "healings", "inputs", "kills", "conditions")


def main() -> int:
    """Run a campaign; the exit status is 1 if a fault went unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parsers = parser.add_subparsers(dest="campaign", required=True)
    campaigns = {name: importlib.import_module(name) for name in CAMPAIGNS}
    for name, module in campaigns.items():
        own = parsers.add_parser(name, description=module.__doc__)
        if name != "inputs":
            own.add_argument("folder", type=Path)
        own.add_argument("--seed", type=int, default=1)
        module.arguments(own)
    args = parser.parse_args()
    return int(campaigns[args.campaign].run(args))


if __name__ == "__main__":
    sys.exit(main())
