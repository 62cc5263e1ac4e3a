"""Write the expanded grid of a study as a table to read."""

import argparse
import json
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--params", required=True, help="JSON: the study's name and its cells")
    parser.add_argument("--out", type=Path, required=True, help="tab-separated file to write")


def run(args: argparse.Namespace) -> None:
    """Write the table."""
    from scalebed.core.files import write_text
    from scalebed.plan.render import cells_tsv

    write_text(args.out, cells_tsv(json.loads(args.params)))
