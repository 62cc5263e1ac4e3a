"""Import cells that others trained, as the tables of a study."""

import argparse
import json
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--params", required=True, help="JSON: study, importer, options, average, fit"
    )
    parser.add_argument("--source", required=True, type=Path, help="what the importer reads")
    parser.add_argument("--out", required=True, type=Path, help="folder for the tables")


def run(args: argparse.Namespace) -> None:
    """Write the tables."""
    from scalebed.tables.imports.tabulate import tabulate_import

    tabulate_import(json.loads(args.params), args.source, args.out)
