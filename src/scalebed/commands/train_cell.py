"""Train one cell, going on where an earlier attempt stopped."""

import argparse
from pathlib import Path
from typing import Any

from scalebed.commands import training


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    training.arguments(parser, "cell", "metrics.json")
    parser.add_argument(
        "--trunk",
        nargs="*",
        default=[],
        type=Path,
        help="state.json of its trunk where the cell leaves it, of a cell that is a branch",
    )


def run(args: argparse.Namespace) -> int:
    """Train the cell; exit 0 with a record, or 75 when interrupted and saved."""
    return training.run(args, "train-cell", _train, _trained)


def _train(params: Any, args: argparse.Namespace, options: Any) -> None:
    from scalebed.train.cell import train_cell

    train_cell(params, args.dataset, args.out, options, *args.trunk)


def _trained(params: Any, args: argparse.Namespace, options: Any) -> bool:
    from scalebed.train.cell import restore_finished

    return restore_finished(params, args.dataset, args.out, options)
