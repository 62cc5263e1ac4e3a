"""Predict the loss and the errors of runs nobody trained, with intervals and what they contain.

A target is params=N,tokens=D, perhaps with unique=U where tokens are repeated; amounts may be
written 7B or 1.4T.
"""

from __future__ import annotations

import argparse

from scalebed.commands.lines import print_lines
from scalebed.commands.source_options import curves_of, source_arguments
from scalebed.commands.targets import read_target


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    source_arguments(parser)
    parser.add_argument(
        "--target",
        action="append",
        required=True,
        metavar="params=N,tokens=D[,unique=U]",
        help="a run to predict; may be given several times",
    )


def run(args: argparse.Namespace) -> None:
    """Print what the runs would give."""
    import json

    from scalebed.decide.predicted import lines, record

    targets = [read_target(text) for text in args.target]
    curves = curves_of(args)
    if args.json:
        found = [record(curve, targets) for curve in curves]
        print(json.dumps(found, indent=1, allow_nan=False))
        return
    for curve in curves:
        print_lines(*lines(curve, targets))
