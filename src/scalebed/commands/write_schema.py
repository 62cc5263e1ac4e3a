"""Write the JSON schema of study files and the reference table of config/README.md."""

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--check", action="store_true", help="only fail when they are out of date")
    parser.add_argument("--root", type=Path, default=Path(), help="root of the repository")


def run(args: argparse.Namespace) -> None:
    """Write or check the generated files."""
    from scalebed.study.reference import check_generated, write_generated

    if args.check:
        check_generated(args.root)
    else:
        write_generated(args.root)
