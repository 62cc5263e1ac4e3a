"""Fit the laws of a study, draw their intervals and predict its targets.

Writes fit_parameters, draws, predictions and, last, fits (parquet) into the output folder.
"""

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--params",
        required=True,
        help="JSON: loss_law, error_law, loss, losses, per_task, draws, level, seed",
    )
    parser.add_argument("--tables", required=True, type=Path, help="folder of the study's tables")
    parser.add_argument("--out", required=True, type=Path, help="folder for the four results")


def run(args: argparse.Namespace) -> None:
    """Fit the study."""
    from scalebed.predict.study import fit_files

    fit_files(args.tables, args.out, args.params)
