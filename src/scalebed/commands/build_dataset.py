"""Say which tokens of which corpora make up a data set, each at most once an epoch."""

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--params", required=True, help="JSON: dataset, sources ({corpus: weight}), tokens (cap)"
    )
    parser.add_argument(
        "--tokens", required=True, nargs="+", type=Path, help="manifests of token shards"
    )
    parser.add_argument("--out", required=True, type=Path, help="the manifest to write")


def run(args: argparse.Namespace) -> None:
    """Build the data set."""
    from scalebed.commands.params import parse_params
    from scalebed.data.dataset import build_dataset

    params = parse_params(args.params, ("dataset", "sources"), ("tokens", "numerics"))
    build_dataset(params, args.tokens, args.out)
