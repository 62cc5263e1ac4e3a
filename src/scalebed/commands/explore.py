"""Compute what one figure shows, or the report, and the laws of a study do not say."""

import argparse
import json
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("exploration", help="name of the exploration")
    parser.add_argument("--params", default="{}", help="options of the exploration, JSON")
    parser.add_argument("--database", required=True, type=Path, help="database of the study")
    parser.add_argument("--out", required=True, type=Path, help="parquet file to write")


def run(args: argparse.Namespace) -> None:
    """Compute and write."""
    from scalebed.checks.explore.registry import explore

    explore(args.exploration, json.loads(args.params), args.database, args.out)
