"""Encode the train and val splits of a corpus into token shards.

Writes <split>-00000.bin and so on beside the manifest.
"""

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--params", required=True, help="JSON: numerics")
    parser.add_argument("--corpus", required=True, type=Path, help="manifest of the corpus")
    parser.add_argument("--tokenizer", required=True, type=Path, help="manifest of the tokenizer")
    parser.add_argument("--out", required=True, type=Path, help="the manifest to write")


def run(args: argparse.Namespace) -> None:
    """Encode the corpus."""
    from scalebed.commands.params import parse_params
    from scalebed.data.tokens import tokenize_corpus

    params = parse_params(args.params, ("numerics",))
    tokenize_corpus(params, args.corpus, args.tokenizer, args.out)
