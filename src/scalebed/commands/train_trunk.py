"""Train a trunk up to where cells leave it, going on from the latest state there is."""

import argparse
from pathlib import Path
from typing import Any

from scalebed.commands import training


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    training.arguments(parser, "trunk", "state.json")
    parser.add_argument(
        "--trunk", nargs="*", default=[], type=Path, help="state.json of the state before"
    )


def run(args: argparse.Namespace) -> int:
    """Train the trunk; exit 0 with a record, or 75 when interrupted and saved."""
    return training.run(args, "train-trunk", _train, _trained)


def _train(params: Any, args: argparse.Namespace, options: Any) -> None:
    from scalebed.train.trunk import train_trunk

    train_trunk(params, args.dataset, args.out, options, *args.trunk)


def _trained(params: Any, args: argparse.Namespace, options: Any) -> bool:
    from scalebed.train.trunk import restore_trunk

    return restore_trunk(params, args.dataset, args.out)
