"""Judge a sealed prediction by what the run gave: inside or outside, and how far."""

from __future__ import annotations

import argparse
from pathlib import Path

from scalebed.commands.lines import print_lines


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("seal", type=Path, help="file that scalebed seal wrote")
    add("--loss", "--value", dest="measured", type=float, help="what the run gave")
    add("--runs", metavar="SOURCE", help="table or study that has the run, in place of --loss")
    add("--date", help="moment of the judgement in place of now, ISO 8601")
    add("--again", action="store_true", help="replace an earlier judgement")
    add("--json", action="store_true", help="print JSON in place of text")


def run(args: argparse.Namespace) -> None:
    """Judge, print and write beside the seal."""
    import json

    from scalebed.core.errors import ScalebedError
    from scalebed.core.files import write_json
    from scalebed.watch.dates import moment
    from scalebed.watch.judging import judge, judgement_text
    from scalebed.watch.measured import measured_of
    from scalebed.watch.seals import judged_path, read_seal

    record = read_seal(args.seal)
    if (args.measured is None) == (args.runs is None):
        raise ScalebedError("expected either --loss or --runs")
    measured = args.measured if args.runs is None else measured_of(args.runs, record)
    if not 0 < measured < float("inf"):
        raise ScalebedError(f"--loss is {measured}, expected a number above 0")
    out = judged_path(args.seal)
    if out.exists() and not args.again:
        raise ScalebedError(f"{args.seal} was judged already, see {out} (--again judges anew)")
    judgement = judge(record, measured, moment(args.date))
    write_json(out, judgement)
    if args.json:
        print(json.dumps(judgement, indent=1, allow_nan=False))
        return
    print_lines(*judgement_text(record, judgement), f"written: {out}")
