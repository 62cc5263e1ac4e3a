"""Take the frontier of a search, fit its laws and propose a ladder as a study file."""

import argparse
import json
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--params", required=True, help="the search, JSON")
    parser.add_argument("--tables", required=True, type=Path, help="folder of the cells' tables")
    parser.add_argument("--out", required=True, type=Path, help="folder of the four results")


def run(args: argparse.Namespace) -> None:
    """Write runs, fits, rungs and ladder."""
    from scalebed.search.propose import choose_ladder

    choose_ladder(json.loads(args.params), args.tables, args.out)
