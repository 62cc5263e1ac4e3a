"""Compare two data sets or recipes of a study: which is better at a run, and by how much compute.

Without data sets every pair is compared, without --target every target of the study.
"""

import argparse
from pathlib import Path

from scalebed.commands.lines import print_lines
from scalebed.commands.targets import read_target
from scalebed.commands.written import write_told


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("study", help="name of a study in results/studies, or its folder")
    add("datasets", nargs="*", metavar="DATASET", help="two data sets, A and B; all pairs if none")
    add(
        "--target",
        action="append",
        default=[],
        metavar="params=N,tokens=D",
        help="run at which they are compared; may be given several times",
    )
    add(
        "--response",
        "--task",
        action="append",
        default=[],
        metavar="NAME",
        help="validation set, task or average to compare (the study's loss and averages)",
    )
    add(
        "--other",
        metavar="STUDY",
        help="study that B comes from, to compare recipes that have a study each",
    )
    add("--out", type=Path, help="folder to write contrasts.parquet into")


def run(args: argparse.Namespace) -> None:
    """Compare, print and write."""
    from scalebed.checks.contrasts import text
    from scalebed.checks.contrasts.compare import Target, contrast_all
    from scalebed.checks.contrasts.table import TABLE
    from scalebed.core.errors import ScalebedError
    from scalebed.predict.open_study import open_study

    if len(args.datasets) not in (0, 2):
        raise ScalebedError(f"{len(args.datasets)} data sets are named, expected two or none")
    study = open_study(args.study)
    named = [read_target(text, ()) for text in args.target]
    targets = tuple(Target(one.params, one.tokens) for one in named) or None
    pairs = (tuple(args.datasets),) if args.datasets else None
    other = open_study(args.other) if args.other else None
    rows = contrast_all(study, pairs, targets, tuple(args.response) or None, other)
    if args.datasets and not rows:
        raise ScalebedError(f"study {study.name} has no target: add --target params=N,tokens=D")
    print_lines(*text.lines(study.name, rows))
    if args.out:
        print_lines(write_told(TABLE, rows, args.out / "contrasts.parquet"))
