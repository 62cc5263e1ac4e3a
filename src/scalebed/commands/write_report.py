"""Write the report of a study: one HTML page that needs no network."""

import argparse
import json
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--params", default="{}", help="title and figure options, JSON")
    parser.add_argument("--database", required=True, type=Path, help="database of the study")
    parser.add_argument("--figures", type=Path, help="folder of figures that are drawn already")
    parser.add_argument("--explored", type=Path, help="folder of what was computed for them")
    parser.add_argument("--out", required=True, type=Path, help="page to write")


def run(args: argparse.Namespace) -> None:
    """Write the page."""
    from scalebed.report.write import write_report

    write_report(json.loads(args.params), args.database, args.out, args.figures, args.explored)
