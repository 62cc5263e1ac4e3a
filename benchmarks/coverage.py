"""How often intervals of `scalebed fit` cover, on tables as people bring them.

    python benchmarks/coverage.py                                # everything, 200 simulated tables
    python benchmarks/coverage.py --case checkpoints --replicates 20
    python benchmarks/coverage.py --case testbed --interval posterior --workers 2
    python benchmarks/coverage.py --case trunks, --interval posterior
    python benchmarks/coverage.py --case contrasts --replicates 60 --draws 1000
    python benchmarks/coverage.py --figure docs/images/coverage_width.svg --draws 500

Every table is written, read and fitted as a user's would be (the paper's cells as a study). Nominal
coverage is 90 %. The published testbed and the public tables are left out where they are not.

A line of a simulated case is a case and a way to draw: the share of predictions inside with its
standard error over tables, that of every target, the median width in per cent, the largest ratio of
a target's median width to a yardstick, and the mean score (width plus 20 times the distance by
which a run lies outside, per cent).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

# numba asks for the package `coverage`, which is not this file.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.covered import contrasts, simulated, stacked, testbed, trunk_errors, trunks, zoo
from benchmarks.covered.measure import WAYS, Part


def parts(args: argparse.Namespace) -> Iterator[Part]:
    """All that was asked for."""
    ways = [WAYS[name] for name in args.interval or WAYS]
    found = [
        *simulated.parts(ways, args.replicates, args.draws),
        *trunks.parts(ways, args.replicates, args.draws),
        *trunk_errors.parts(ways, args.replicates, args.draws),
        *contrasts.parts(ways, args.replicates, args.draws),
    ]
    for name, rooms in (("testbed", (testbed, stacked)), ("zoo", (zoo,))):
        folder = getattr(args, name)
        if folder.is_dir():
            found += [part for room in rooms for part in room.parts(folder, ways, args.draws)]
        else:
            print(f"no {name} at {folder}: --{name} or SCALEBED_{name.upper()} names its folder")
    return (part for part in found if args.case in part.name)


def shared(name: str) -> Path:
    """Return the folder of published data."""
    beside = Path(__file__).resolve().parents[2] / "shared" / name
    return Path(os.environ.get(f"SCALEBED_{name.upper()}", beside))


def draw(args: argparse.Namespace) -> None:
    """Draw coverage against width over the published testbed; print its numbers."""
    from benchmarks.covered import traded

    frame = traded.traded(args.testbed, args.kept, args.draws)
    print(traded.summary(frame).to_string(index=False))
    traded.chart(frame).save(args.figure)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--interval", choices=[*WAYS], action="append")
    parser.add_argument("--testbed", type=Path, default=shared("testbed"))
    parser.add_argument("--zoo", type=Path, default=shared("zoo"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--figure", type=Path, help="draw coverage against width, nothing else")
    parser.add_argument("--kept", type=Path, default=Path("coverage_width.csv"))
    args = parser.parse_args()
    if args.figure:
        draw(args)
        return
    with ProcessPoolExecutor(args.workers) as pool:
        asked = [(p, {key: pool.submit(job) for key, job in p.jobs.items()}) for p in parts(args)]
        for part, jobs in asked:
            for line in part.lines({key: job.result() for key, job in jobs.items()}):
                print(line, flush=True)


if __name__ == "__main__":
    main()
