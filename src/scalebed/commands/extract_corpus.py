"""Read a corpus, split it by document id and write its documents.

Writes documents.parquet beside the manifest.
"""

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--params", required=True, help="JSON: corpus, reader, options, split, numerics"
    )
    parser.add_argument("--out", required=True, type=Path, help="the manifest to write")


def run(args: argparse.Namespace) -> None:
    """Extract the corpus."""
    from scalebed.commands.params import parse_params
    from scalebed.data.corpus import extract_corpus

    keys = ("corpus", "reader", "options", "split", "numerics")
    extract_corpus(parse_params(args.params, keys), args.out)
