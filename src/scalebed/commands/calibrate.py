"""Measure coverage, width and Winkler score of every interval method on a study.

Three ways: by simulation from the fitted laws with the study's own design; on the cells that were
not fitted, with the scatter of the other data sets; and with the largest models left out.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("study", help="a study that was fitted: its name, or its folder in results/studies")
    add("--out", type=Path, help="folder for calibration.parquet (none: print only)")
    add("--simulations", type=int, default=40, metavar="K", help="simulated studies (40)")
    add("--seed", type=int, help="seed of the simulation (the study's)")
    add("--datasets", action="store_true", help="print each data set, not only all together")


def run(args: argparse.Namespace) -> None:
    """Measure, print and write."""
    from scalebed.checks.intervals.calibrate import calibrate_study, remarks
    from scalebed.checks.intervals.calibration_table import write_calibration
    from scalebed.core.errors import ScalebedError
    from scalebed.predict.open_study import open_study

    if not 0 <= args.simulations <= 10_000:
        raise ScalebedError(f"--simulations is {args.simulations}, expected 0 .. 10000")
    rows = calibrate_study(open_study(args.study), args.simulations, seed=args.seed)
    if not rows:
        # In a pipeline a study that is too small has an empty table and goes on.
        print(
            f"{args.study} is too small to calibrate: no law was fitted, or no measured cell is "
            "left to predict"
        )
    several = len({row["dataset"] for row in rows}) > 1
    for line in _lines(rows, several and not args.datasets):
        print(line)
    for sentence in remarks(rows):
        print(f"note: {sentence}")
    if args.out:
        path = args.out / "calibration.parquet"
        write_calibration(path, rows)
        print(f"written: {path}")


def _lines(rows: list[dict[str, Any]], together: bool) -> Iterator[str]:
    """Tables by scheme, response and data set; lengths in % of the loss, or in error points."""
    last = None
    for row in rows:
        if together and row["dataset"] != "all":
            continue
        key = row["scheme"], row["response"], row["dataset"]
        if key != last:
            unit = "% of the loss" if row["kind"] == "loss" else "points of error"
            yield f"\n{', '.join(key)}: nominal {row['level']:.0%}, lengths in {unit}"
            yield f"  {'method':12} {'coverage':>14} {'width':>7} {'mean':>7} {'score':>7}  status"
            last = key
        mark = "*" if row["chosen"] else " "
        yield (
            f"{mark} {row['method']:12} {row['coverage']:7.1%} ±{row['coverage_error']:5.1%} "
            f"{100 * row['width']:7.2f} {100 * row['width_mean']:7.2f} "
            f"{100 * row['winkler']:7.2f}  {row['status']}"
        )
