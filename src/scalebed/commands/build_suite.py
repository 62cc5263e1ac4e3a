"""Build the items of a task suite from the tasks split of a corpus.

Writes <task>.jsonl beside the manifest.
"""

import argparse
from pathlib import Path

KEYS = (
    "suite",
    "corpus",
    "tasks",
    "items",
    "seed",
    "context_chars",
    "sentence_chars",
    "numerics",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--params", required=True, help=f"JSON: {', '.join(KEYS)}")
    parser.add_argument("--corpus", required=True, type=Path, help="manifest of the corpus")
    parser.add_argument("--out", required=True, type=Path, help="the manifest to write")


def run(args: argparse.Namespace) -> None:
    """Build the suite."""
    from scalebed.commands.params import parse_params
    from scalebed.evaluate.suites.build import build_suite

    build_suite(args.corpus, parse_params(args.params, KEYS), args.out)
