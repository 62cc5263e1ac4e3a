"""Gather the records of a study's cells into parquet tables."""

import argparse
import json
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--params", required=True, help="cells of the study and their parts, JSON")
    parser.add_argument("--cells", required=True, type=Path, help="root folder of all cells")
    parser.add_argument("--out", required=True, type=Path, help="folder of the tables")


def run(args: argparse.Namespace) -> None:
    """Write the tables."""
    from scalebed.tables.tabulate import tabulate_cells

    tabulate_cells(json.loads(args.params), args.cells, args.out)
