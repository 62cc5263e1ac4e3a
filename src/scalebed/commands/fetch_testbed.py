"""Fetch the published testbed of arXiv 2403.08540 at its pinned commit and check it."""

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--out", required=True, type=Path, help="manifest to write")


def run(args: argparse.Namespace) -> None:
    """Fetch it."""
    from scalebed.tables.imports.fetch import fetch_testbed

    fetch_testbed(args.out)
