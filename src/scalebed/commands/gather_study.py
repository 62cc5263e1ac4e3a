"""Write everything known about a study into one DuckDB file, with parquet copies beside it."""

import argparse
import json
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--params", required=True, help="study, title and yardstick loss, JSON")
    parser.add_argument("--tables", required=True, type=Path, help="folder of the cells' tables")
    parser.add_argument("--fits", required=True, type=Path, help="folder of the fits' tables")
    parser.add_argument("--checks", required=True, type=Path, help="folder of the checks' tables")
    parser.add_argument(
        "--corpora",
        nargs="*",
        default=[],
        type=Path,
        help="manifests of corpora whose licence and size are recorded",
    )
    parser.add_argument("--search", type=Path, help="folder of the tables of a search")
    parser.add_argument("--published", type=Path, help="printed numbers to compare with, YAML")
    parser.add_argument("--out", required=True, type=Path, help="database to write")


def run(args: argparse.Namespace) -> None:
    """Write the database."""
    from scalebed.tables.database import Sources, gather_study

    params = json.loads(args.params)
    sources = Sources(args.tables, args.fits, args.checks, args.search)
    gather_study(params, sources, args.out, args.corpora, args.published)
