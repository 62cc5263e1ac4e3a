"""Let all laws and objectives predict what they were not fitted to, and say which to believe.

Prints the tables and a verdict, and the class of every task; docs/tournament.md says how to read
them. With --out tables tournament and reliability are written.
"""

import argparse
from pathlib import Path

from scalebed.commands.lines import print_lines
from scalebed.commands.written import write_told


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("study", help="name of a study in results/studies, or its folder")
    add("--loss", action="append", default=[], help="validation set to predict (the study's own)")
    add("--law", action="append", default=[], help="law to take part beside the study's own (all)")
    add("--kind", choices=("loss", "error"), help="losses only, or task errors only (both)")
    add(
        "--for",
        dest="family",
        choices=("N", "C", "M", "design", "all"),
        help="extrapolation the verdict is about (the one that the study's targets ask for)",
    )
    add(
        "--only",
        choices=("tournament", "reliability"),
        help="make one table alone; the classes of tasks take seconds (both)",
    )
    add("--no-tasks", action="store_true", help="leave out single tasks")
    add("--draws", type=int, default=4000, help="resamples of the cluster bootstrap (4000)")
    add("--seed", type=int, default=0, help="seed of the bootstrap (0)")
    add("--workers", type=int, default=2, help="processes; results do not depend on it (2)")
    add("--out", type=Path, help="folder to write tournament.parquet and reliability.parquet into")


def run(args: argparse.Namespace) -> None:
    """Compare, print and write."""
    from scalebed.checks.reliability import table as reliability_table
    from scalebed.checks.reliability import text as reliability_text
    from scalebed.checks.reliability.classes import classify_tasks
    from scalebed.checks.tournament import table, text
    from scalebed.checks.tournament.play import Rules, run_tournament
    from scalebed.checks.tournament.verdict import asked
    from scalebed.core.errors import ScalebedError
    from scalebed.predict.open_study import open_study

    if not 100 <= args.draws <= 1_000_000:
        raise ScalebedError(f"--draws is {args.draws}, expected 100 .. 1000000")
    if not 1 <= args.workers <= 256:
        raise ScalebedError(f"--workers is {args.workers}, expected 1 .. 256")
    study = open_study(args.study)
    rules = Rules(
        losses=tuple(dict.fromkeys(args.loss)),
        laws=tuple(dict.fromkeys(args.law)),
        kinds=(args.kind,) if args.kind else ("loss", "error"),
        tasks=not args.no_tasks,
        draws=args.draws,
        seed=args.seed,
        workers=args.workers,
    )
    plays, judges = args.only != "reliability", args.only != "tournament"
    rows = run_tournament(study, rules) if plays else []
    tasks = classify_tasks(study, rows) if judges and args.kind != "loss" else []
    if plays:
        print_lines(*text.lines(study, rows, args.family or asked(study)))
    if tasks:
        print_lines("", *reliability_text.lines(tasks))
    if args.out and plays:
        print_lines("", write_told(table.TABLE, rows, args.out / "tournament.parquet"))
    if args.out and judges:
        out = args.out / "reliability.parquet"
        print_lines("", write_told(reliability_table.TABLE, tasks, out))
