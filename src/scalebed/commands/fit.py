"""Fit the laws to a table of runs and predict targets; no study is needed.

The table is CSV or parquet, one row a run, with columns params, tokens and loss. Common other names
of them (N, D, val_loss, ...) are recognised and said; --column params=NAME gives any. Rows of one
run are its checkpoints, rows that are no finished run are set aside. docs/fit.md names all columns
and the keys of the JSON that is written.
"""

import argparse
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from scalebed.commands.lines import print_lines
from scalebed.commands.source_options import format_arguments, parse_options
from scalebed.commands.targets import read_target


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from scalebed.core.values import Drawing, Interval, Objective, ObjectiveName

    add = parser.add_argument
    add(
        "table",
        type=Path,
        help="CSV, TSV or parquet: params, tokens, loss and more, a row a run; "
        "or file or folder of another format",
    )
    format_arguments(parser)
    add(
        "--target",
        action="append",
        default=[],
        metavar="params=N,tokens=D[,unique=U][,dataset=NAME]",
        help="a run to predict; may be given several times",
    )
    add(
        "--column",
        action="append",
        default=[],
        metavar="KEY=NAME[,KEY=NAME...]",
        help="which column is params, tokens, loss, dataset, run, seed, step, trunk, status, "
        "unique_tokens, flops, error or stderr, where its name does not say so; may be given "
        "several times",
    )
    add("--out", type=Path, help="JSON to write (<name of the table>.fit.json in this folder)")
    add(
        "--level",
        type=float,
        default=Drawing.level,
        help="probability content of the intervals (0.9)",
    )
    add("--draws", type=int, default=Drawing.draws, help="draws behind the intervals (4000)")
    add("--seed", type=int, default=0, help="seed of the draws (0)")
    add(
        "--interval",
        choices=get_args(Interval),
        help="how the loss law is drawn: posterior of the softly tied law chinchilla, or bootstrap "
        "of a fit (posterior, unless another law, objective or something else asks for a fit)",
    )
    add("--loss-law", help="law of the loss (chinchilla; tied for a bootstrap)")
    add("--error-law", default="decay", help="law of the error (decay)")
    add(
        "--objective",
        choices=get_args(ObjectiveName),
        default=Objective.objective,
        help="what the fit of the loss law minimises (sse)",
    )
    about = "where Huber's loss turns straight (0.001)"
    add("--delta", type=float, default=Objective.delta, help=about)
    add(
        "--fix",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the loss law that is given; may be given several times",
    )
    add(
        "--prior",
        action="append",
        default=[],
        metavar="NAME=MEAN,SD",
        help="a parameter of the loss law of which something is known beforehand",
    )


def run(args: argparse.Namespace) -> None:
    """Fit, print and write."""
    from scalebed.core.files import write_json
    from scalebed.fit.options import Options, Prior
    from scalebed.predict.ask import table_settings
    from scalebed.predict.table import fit_table
    from scalebed.tables.runs_names import parse_columns
    from scalebed.tables.runs_notes import repeats_note
    from scalebed.tables.runs_units import read_counted

    fixed = {name: value[0] for name, value in map(_numbers("--fix", 1), args.fix)}
    priors = {name: Prior(*pair) for name, pair in map(_numbers("--prior", 2), args.prior)}
    options = Options(args.objective, args.delta, fixed=fixed, priors=priors)
    out = args.out or Path(f"{args.table.stem}.fit.json")
    replaced = _replaced(out, args.table)
    targets = tuple(read_target(text, ("unique", "dataset")) for text in args.target)
    columns = parse_columns(args.column)
    table = read_counted(args.table, columns, args.format, parse_options(args.option))
    settings = table_settings(
        table,
        loss_law=args.loss_law,
        error_law=args.error_law,
        interval=args.interval,
        options=options,
        level=args.level,
        draws=args.draws,
        seed=args.seed,
    )
    warning = repeats_note(table)
    if warning:
        print(f"scalebed fit: warning: {warning}", file=sys.stderr)
    record = fit_table(table, targets, settings)
    write_json(out, record)
    print_lines(*_lines(record, warning), f"written: {out}{replaced}")


def _replaced(out: Path, table: Path) -> str:
    """Return what is said of the file that is written over, "" if there is none.

    Raises
    ------
    ScalebedError
        If it is the table, or anything but a fit.
    """
    from scalebed.core.errors import ScalebedError
    from scalebed.core.files import read_json

    if out.resolve() == table.resolve():
        raise ScalebedError(f"--out is {out}, the table itself, expected another file")
    if not out.exists():
        return ""
    try:
        record = read_json(out)
        if record["schema"] == "scalebed.fit":
            return f", in place of the fit of {record['table']['path']} that was there"
    except (ScalebedError, KeyError, TypeError):
        pass
    raise ScalebedError(
        f"{out} exists and is no fit of scalebed, so it is not written over; expected --out with "
        "another name"
    )


def _numbers(option: str, count: int) -> Callable[[str], tuple[str, tuple[float, ...]]]:
    """Return a reader of NAME=number,number words of an option."""
    from scalebed.core.errors import ScalebedError

    def read(text: str) -> tuple[str, tuple[float, ...]]:
        name, equals, rest = text.partition("=")
        try:
            values = tuple(float(word) for word in rest.split(","))
        except ValueError:
            values = ()
        if not name or not equals or len(values) != count or not all(map(math.isfinite, values)):
            wanted = "NAME=VALUE" if count == 1 else "NAME=MEAN,SD"
            raise ScalebedError(f"{option} {text}: expected {wanted}")
        return name, values

    return read


def _lines(record: dict[str, Any], warned: str) -> list[str]:
    """Return the result as text; a warning that was given already is not repeated."""
    table, level = record["table"], record["settings"]["level"]
    lines = [f"{table['path']}: {table['rows']} runs, {table['finished']} finished"]
    if table["runs"] < table["rows"]:
        lines = [
            f"{table['path']}: {table['rows']} rows of {table['runs']} runs, {table['finished']} "
            "of them used"
        ]
    lines += [f"note: {text}" for text in record["warnings"] if text != warned]
    if table["columns_not_used"]:
        lines.append(f"columns not used: {', '.join(table['columns_not_used'])}")
    for fit in record["fits"]:
        lines += ["", *_fit_lines(fit, level)]
    if record["predictions"]:
        lines += ["", f"predictions, {level:.3g} prediction intervals"]
        lines += [line for row in record["predictions"] for line in _prediction_lines(row)]
    return [*lines, ""]


def _fit_lines(fit: dict[str, Any], level: float) -> list[str]:
    lines = [
        f"{fit['dataset']}, {fit['response']}: {fit['formula']}",
        f"  {fit['verdict']}; {fit['points']} points",
    ]
    if fit["status"] == "refused":
        return lines
    shown = fit["parameters"]
    lines[1] += f", rmse {fit['rmse']:.3g}"
    numbers = {name: _number(found["value"]) for name, found in shown.items()}
    law = re.sub(r"[A-Za-z_]\w*", lambda word: numbers.get(word[0], word[0]), fit["formula"])
    lines.insert(1, f"  {law}")
    for name, found in shown.items():
        interval = f"{_number(found['lower']):>10} .. {_number(found['upper']):<10}"
        lines.append(f"  {name:8} {_number(found['value']):>10}  {interval} {found['unit']}")
    if fit["sigma"] is None:
        return [*lines, f"  scatter: {fit['sigma_source']}"]
    amount = f"{fit['sigma']:.3%} of the loss" if fit["kind"] == "loss" else f"{fit['sigma']:.4f}"
    return [
        *lines,
        f"  scatter {amount}: {fit['sigma_source']}",
        f"  intervals {level:.3g}: {fit['method']}",
    ]


def _prediction_lines(row: dict[str, Any]) -> list[str]:
    who = f"{row['run']}, " if row["run"] else ""
    head = (
        f"  {who}{row['dataset']}, N {row['params']:.4g}, D {row['tokens']:.4g}, {row['response']}:"
    )
    if row["predicted"] is None:
        return [f"{head} none, {row['reason']}"]
    line = f"{head} {row['predicted']:.4f}"
    if row["lower"] is not None:
        line += f"  [{row['lower']:.4f}, {row['upper']:.4f}]"
    line += f"  {row['times_largest_run']:.3g} x the largest run's FLOPs"
    said = [f"numbers: {row['numbers']}"]
    if row["evidence"]:
        said.append(f"evidence: {row['evidence']}")
    return [line, *(f"    {sentence}" for sentence in said)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
