"""Watch a run: whether it is on its curve, where it ends, and if it diverges or repeats data.

The curve is a CSV (columns step, tokens, loss; W&B exports as they are), parquet, or TensorBoard
events. It is compared at equal progress with the finished runs of a study, or of a table whose
column curve names the file of each run's curve, or through the Multi-Power Law where its learning
rate has another schedule (--multi-power or --reference).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scalebed.commands.lines import print_lines


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from scalebed.core.values import Drawing

    add = parser.add_argument
    add("curve", nargs="?", help="curve of the run so far: CSV, TSV, parquet, TensorBoard events")
    add("--seal", type=Path, help="what was sealed of the run")
    add("--target", metavar="params=N,tokens=D", help="the run, where nothing was sealed")
    add(
        "--source",
        help="finished runs to compare with: a study (name, folder, study.duckdb), or a table of "
        "runs with a column curve",
    )
    add("--dataset", help="data set of the ladder (that of the seal)")
    add(
        "--column",
        action="append",
        default=[],
        metavar="KEY=NAME",
        help="which column is step, tokens, loss, held_out or lr; may be given several times",
    )
    add("--steps", type=int, help="steps of the whole run, where the curve has no tokens")
    add("--batch-tokens", help="tokens of a step, where the curve has no tokens")
    add("--unique-tokens", help="tokens there are, where some are seen again")
    add("--multi-power", metavar="L0=...,A=...", help="constants of the law, or a JSON with them")
    add("--reference", nargs="+", default=[], help="finished curves with step, lr and loss")
    add("--schedule", type=Path, help="CSV with step and lr of the whole run")
    add("--warmup", type=int, help="steps of warm-up, where curves begin after it")
    add("--study", type=Path, help="study file: a line for each of its cells")
    add("--root", type=Path, default=Path(), help="folder of results and state of --study (.)")
    add("--level", type=float, default=Drawing.level, help="of intervals and verdict (0.9)")
    add("--json", action="store_true", help="print JSON in place of text")


def run(args: argparse.Namespace) -> None:
    """Print what is to be said of the run, or of every cell of a study."""
    import json

    from scalebed.core.errors import ScalebedError
    from scalebed.watch.follow import about
    from scalebed.watch.seals import read_seal

    if not 0 < args.level < 1:
        raise ScalebedError(f"--level is {args.level}, expected between 0 and 1")
    if args.study:
        _cells(args)
        return
    if args.curve is None:
        raise ScalebedError("expected a curve, or --study")
    seal = None if args.seal is None else read_seal(args.seal)
    found = _watched(args, seal)
    if args.json:
        record = found.record() | {"seal": None if seal is None else seal["digest"]}
        record["despite_evidence"] = [] if seal is None else seal["despite_evidence"]
        print(json.dumps(record, indent=1, allow_nan=False))
        return
    print_lines(*(about(seal) if seal else ()), *found.lines())


def _watched(args: argparse.Namespace, seal: dict[str, Any] | None) -> Any:
    from scalebed.core.errors import ScalebedError
    from scalebed.core.quantities import TOKENS, read_amount
    from scalebed.tables.runs_columns import is_table
    from scalebed.watch.follow import others, watch_ladder, watch_schedule
    from scalebed.watch.forecast import prior_of
    from scalebed.watch.ladder import read_ladder
    from scalebed.watch.live import parse_columns, read_live
    from scalebed.watch.schedules import law_of, ratio_of, read_constants, read_plan, read_reference
    from scalebed.watch.table_ladder import read_table_ladder

    target, response = _target(args, seal)
    batch = read_amount(args.batch_tokens, "--batch-tokens") if args.batch_tokens else None
    unique = args.unique_tokens and read_amount(args.unique_tokens, "--unique-tokens", TOKENS)
    curve = read_live(args.curve, parse_columns(args.column))
    curve = curve.progress(target[1], args.steps, batch)
    prior = None if seal is None else prior_of(seal)
    said = {"prior": prior, "level": args.level, "unique": unique or None}
    if args.multi_power or args.reference:
        if args.schedule is None:
            raise ScalebedError("a schedule law needs --schedule, the rates of the whole run")
        references = [read_reference(path, args.warmup) for path in args.reference]
        given = read_constants(args.multi_power) if args.multi_power else None
        law, curves, words = law_of(given, references)
        plan = read_plan(args.schedule, args.warmup)
        ratio = ratio_of(law, plan, curves, words, args.level)
        return watch_schedule(curve, ratio, total=target[1], **said)
    if not args.source:
        raise ScalebedError(
            "expected --source (a study, or a table of runs with a column curve), or --multi-power "
            "or --reference"
        )
    dataset = args.dataset or (None if seal is None else str(seal["dataset"]))
    read = read_table_ladder if is_table(Path(args.source)) else read_ladder
    rungs = others(read(args.source, dataset, response), *target)
    return watch_ladder(curve, rungs, target, **said)


def _target(
    args: argparse.Namespace, seal: dict[str, Any] | None
) -> tuple[tuple[float, float], str | None]:
    """Return N, D and the response that is forecast."""
    from scalebed.commands.targets import read_target
    from scalebed.core.errors import ScalebedError

    if (seal is None) == (args.target is None):
        raise ScalebedError("expected either --seal or --target")
    if seal is None:
        target = read_target(args.target)
        return (target.params, target.tokens), None
    if seal["prediction"]["kind"] != "loss":
        raise ScalebedError(f"{args.seal} seals an error, and a curve tells losses")
    return (seal["target"]["params"], seal["target"]["tokens"]), seal["prediction"]["response"]


def _cells(args: argparse.Namespace) -> None:
    import json

    from scalebed.plan import rule_params
    from scalebed.watch.cells import watch_cells

    for one in watch_cells(args.study, args.root, args.level, rule_params.cell):
        if args.json:
            watched = None if one.watched is None else one.watched.record()
            record = {"cell": one.cell.path, "state": one.state, "reason": one.reason}
            print(json.dumps(record | {"watched": watched}, allow_nan=False))
        else:
            print_lines(one.line)
