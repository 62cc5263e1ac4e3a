"""Write a trained cell as a folder that transformers loads, and push it to a hub if asked to.

CELL is its folder, its name in tables (dataset=…/size=…/…), or dataset/size/ratio as far as that
tells it from others. Says which class of transformers it became; no code goes along.
"""

import argparse
from pathlib import Path

from scalebed.core.shown import in_line


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("cell", metavar="CELL", help="folder or name of the cell")
    add("--to", required=True, type=Path, metavar="DIR", help="new or empty folder to write into")
    add("--study", help="name of a study: look among its cells only")
    add("--results", type=Path, default=Path("results"), help="folder of results (results)")
    add("--tokenizer", type=Path, help="tokenizer manifest, if not where the workflow puts it")
    add("--push", metavar="REPO_ID", help="upload the folder to this repository of the hub")
    add("--public", action="store_true", help="let everybody see a repository that --push makes")


def run(args: argparse.Namespace) -> None:
    """Export, say what it became, and push."""
    from scalebed.core.errors import ScalebedError
    from scalebed.evaluate.export import check_target, export_cell, find_cell, finished_record
    from scalebed.evaluate.hub import check_hub, push

    if args.public and not args.push:
        raise ScalebedError("--public is for --push, which is not given")
    cell = find_cell(args.cell, args.results, args.study)
    finished_record(cell)
    check_target(args.to)
    if args.push:
        check_hub(args.push)
    made = export_cell(cell, args.to, args.tokenizer)
    print(in_line(f"{cell} is {made} in {args.to}"), flush=True)
    if args.push:
        print(f"pushed to {push(args.to, args.push, args.public)}")
