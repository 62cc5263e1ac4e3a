"""Train a byte-level BPE on train splits, or adopt an existing tokenizer.

Writes tokenizer.json beside the manifest.
"""

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--params",
        required=True,
        help="JSON: tokenizer, kind (bpe, bytes, file, hub), numerics; vocab, bytes, corpora; "
        "path, merges, revision, eot",
    )
    parser.add_argument(
        "--corpora", nargs="*", default=[], type=Path, help="manifests of the corpora"
    )
    parser.add_argument("--out", required=True, type=Path, help="the manifest to write")


def run(args: argparse.Namespace) -> None:
    """Make the tokenizer."""
    from scalebed.commands.params import parse_params
    from scalebed.data.tokenizer import train_tokenizer

    required = ["tokenizer", "kind", "numerics"]
    optional = ["vocab", "bytes", "corpora", "path", "merges", "revision", "eot"]
    train_tokenizer(parse_params(args.params, required, optional), args.corpora, args.out)
