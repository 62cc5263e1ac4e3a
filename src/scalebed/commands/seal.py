"""Seal a prediction before the run is made: a file whose edits show, and a comment to paste.

The seal is refused where the numbers are doubtful or the evidence missed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scalebed.commands.lines import print_lines
from scalebed.commands.source_options import curve_of, source_arguments
from scalebed.commands.targets import read_target


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    source_arguments(parser)
    add("--target", required=True, metavar="params=N,tokens=D[,unique=U]", help="the run")
    add("--response", metavar="NAME", help="column, validation set or task (the loss)")
    add("--note", help="words that are sealed too")
    add("--date", help="moment of the seal in place of now, ISO 8601")
    add("--out", type=Path, required=True, help="JSON to write; it must not exist")
    add(
        "--despite-evidence",
        action="store_true",
        help="seal what numbers or evidence speak against; the seal and what comes of it say so",
    )


def run(args: argparse.Namespace) -> None:
    """Seal, print and write."""
    import json

    from scalebed.core.errors import ScalebedError
    from scalebed.core.files import write_json
    from scalebed.watch.sealing import comment, make_seal

    if args.out.exists():
        raise ScalebedError(f"{args.out} exists, and a seal is never written over")
    if args.out.suffix != ".json":
        raise ScalebedError(f"--out is {args.out}, expected a name that ends in .json")
    record = make_seal(
        curve_of(args),
        read_target(args.target),
        response=args.response,
        note=args.note,
        date=args.date,
        anyway=args.despite_evidence,
    )
    write_json(args.out, record)
    if args.json:
        print(json.dumps(record, indent=1, allow_nan=False))
        return
    print_lines(*comment(record))
