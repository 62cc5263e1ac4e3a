"""Show the track record of all sealed predictions: outcomes, coverage, and what they say."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("seals", type=Path, nargs="+", help="seals, or folders with seals below")
    add("--json", action="store_true", help="print JSON in place of text")


def run(args: argparse.Namespace) -> None:
    """Print the table; edited seals are left out, named and refused."""
    import json

    from scalebed.core.errors import ScalebedError
    from scalebed.watch.judging import ledger_lines, ledger_record, read_entries

    entries, refused = read_entries(args.seals)
    if args.json:
        print(json.dumps(ledger_record(entries, refused), indent=1, allow_nan=False))
    else:
        for line in ledger_lines(entries):
            print(line)
    if refused:
        raise ScalebedError("; ".join(refused))
