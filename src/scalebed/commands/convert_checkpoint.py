"""Take a cell from a checkpoint of open_lm instead of training it."""

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument(
        "--params", required=True, help="the cell's canonical JSON parameters; name the checkpoint"
    )
    parser.add_argument("--tokenizer", required=True, type=Path, help="manifest of its tokenizer")
    parser.add_argument("--out", required=True, type=Path, help="metrics.json of the cell")


def run(args: argparse.Namespace) -> None:
    """Convert the checkpoint."""
    from scalebed.commands.params import parse_params
    from scalebed.train.open_lm.published import convert_cell

    keys = ("cell", "model", "recipe", "tokens", "steps", "numerics", "checkpoint")
    convert_cell(parse_params(args.params, keys), args.tokenizer, args.out)
