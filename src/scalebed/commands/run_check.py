"""Run one check of a study by name and write its table."""

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("check", help="name of the check, as the study file has it")
    parser.add_argument("study", help="a study that was fitted: its name, or its folder")
    parser.add_argument("--threads", type=int, default=1, help="cores; results do not depend on it")
    parser.add_argument("--out", required=True, type=Path, help="parquet file to write")


def run(args: argparse.Namespace) -> None:
    """Measure and write."""
    from scalebed.checks.registry import run_check

    run_check(args.check, args.study, args.out, args.threads)
