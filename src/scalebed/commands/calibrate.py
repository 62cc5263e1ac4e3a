"""Measure coverage, width and Winkler score of every interval method on a study.

Three ways: by simulation from the fitted laws with the study's own design; on the cells that were
not fitted, with the scatter of the other data sets; and with the largest models left out.
"""

import argparse
from pathlib import Path

from scalebed.commands.lines import print_lines
from scalebed.commands.written import write_told


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("study", help="a study that was fitted: its name, or its folder in results/studies")
    add("--out", type=Path, help="folder for calibration.parquet (none: print only)")
    add("--simulations", type=int, metavar="K", help="simulated studies (40; 10 for a posterior)")
    add("--seed", type=int, help="seed of the simulation (the study's)")
    add("--datasets", action="store_true", help="print each data set, not only all together")


def run(args: argparse.Namespace) -> None:
    """Measure, print and write."""
    from scalebed.checks.calibration import text
    from scalebed.checks.calibration.calibrate import calibrate_study
    from scalebed.checks.calibration.table import TABLE
    from scalebed.core.errors import ScalebedError
    from scalebed.predict.open_study import open_study

    if args.simulations is not None and not 0 <= args.simulations <= 10_000:
        raise ScalebedError(f"--simulations is {args.simulations}, expected 0 .. 10000")
    rows = calibrate_study(open_study(args.study), args.simulations, seed=args.seed)
    if not rows:
        print_lines(f"{args.study} is {text.TOO_SMALL}")
    print_lines(*text.lines(rows, args.datasets))
    print_lines(*(f"note: {sentence}" for sentence in text.remarks(rows)))
    if args.out:
        print_lines(write_told(TABLE, rows, args.out / "calibration.parquet"))
