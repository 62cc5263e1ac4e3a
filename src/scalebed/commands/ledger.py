"""Show the track record of all sealed predictions: outcomes, coverage, and what they say."""

from __future__ import annotations

import argparse
from pathlib import Path

from scalebed.commands.lines import print_lines


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
    from scalebed.watch.study_ledger import (
        is_study_seal,
        read_studies,
        study_lines,
        study_records,
    )

    studies, edited = read_studies(args.seals)
    single = [path for path in args.seals if path.is_dir() or not is_study_seal(path)]
    entries, refused = read_entries(single, bool(studies or edited))
    refused += edited
    if args.json:
        record = ledger_record(entries, refused) | {"studies": study_records(studies)}
        print(json.dumps(record, indent=1, allow_nan=False))
    else:
        lines = ledger_lines(entries) if entries or not studies else iter(())
        print_lines(*lines, *study_lines(studies))
    if refused:
        raise ScalebedError("; ".join(refused))
