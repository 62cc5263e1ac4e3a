"""Measure the loss of a trained cell on validation texts, with bootstrap intervals."""

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--params", required=True, help="JSON: sets, resamples, seed, numerics")
    parser.add_argument("--cell", required=True, type=Path, help="metrics.json of the cell")
    parser.add_argument(
        "--validation",
        required=True,
        nargs="+",
        action="extend",
        metavar="NAME=MANIFEST",
        help="a text by name and the manifest of its tokens",
    )
    parser.add_argument("--out", required=True, type=Path, help="the losses.json to write")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")


def run(args: argparse.Namespace) -> None:
    """Measure the losses."""
    from scalebed.commands.params import parse_params
    from scalebed.core.errors import ScalebedError
    from scalebed.evaluate.losses import evaluate_losses

    params = parse_params(args.params, ("sets", "resamples", "seed", "numerics"))
    manifests = {}
    for word in args.validation:
        name, sign, path = word.partition("=")
        if not (name and sign and path):
            raise ScalebedError(f"--validation {word!r} is not of the form NAME=MANIFEST")
        manifests[name] = Path(path)
    evaluate_losses(args.cell, manifests, params, args.out, args.threads)
