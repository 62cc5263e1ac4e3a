"""Options that name a curve: a table of runs, a study, or constants that somebody printed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from scalebed.decide.curve import Curve
    from scalebed.predict.open_study import StudyFit


def source_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    from scalebed.core.values import Drawing, Interval

    add = parser.add_argument
    add(
        "source",
        nargs="?",
        help="table of runs (CSV, TSV, parquet), name or folder of a study, or its study.duckdb",
    )
    add("--law", metavar="NAME", help="law of the loss, with --params; or of a table (chinchilla)")
    add(
        "--params",
        metavar="NAME=VALUE,...",
        help="constants of --law in place of a source, as in E=1.69,A=406.4,B=410.7,alpha=.34,...",
    )
    add("--dataset", help="data set; needed where there are several")
    add(
        "--column",
        action="append",
        default=[],
        metavar="KEY=NAME[,KEY=NAME...]",
        help="which column of a table is params, tokens, loss, ..., as in scalebed fit",
    )
    format_arguments(parser)
    add("--interval", choices=get_args(Interval), help="how the law of a table is drawn")
    add("--level", type=float, help=f"content of the intervals of a table ({Drawing.level})")
    add("--draws", type=int, help=f"draws of the law of a table ({Drawing.draws})")
    add("--seed", type=int, default=0, help="seed of the draws of a table (0)")
    add("--json", action="store_true", help="print JSON in place of text")


def format_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what says how runs are written down."""
    from scalebed.core.values import RunFormat

    add = parser.add_argument
    add(
        "--format",
        choices=("table", *get_args(RunFormat)),
        help="what the source is; recognised where that is sure",
    )
    add(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the format, see docs/tables.md; may be given several times",
    )


def parse_options(texts: list[str]) -> dict[str, str]:
    """Read the words KEY=VALUE of ``--option``.

    Raises
    ------
    ScalebedError
        If one has no value, or a key is given twice.
    """
    from scalebed.core.errors import ScalebedError

    found: dict[str, str] = {}
    for text in texts:
        key, _, value = (part.strip() for part in text.partition("="))
        if not key or not value or key in found:
            raise ScalebedError(f"--option {text}: expected KEY=VALUE, each key once")
        found[key] = value
    return found


def study_of(args: argparse.Namespace) -> StudyFit | None:
    """Open the study that was named, None if the source is a table or constants."""
    from scalebed.decide.sources import is_table
    from scalebed.predict.open_database import open_any

    if args.params or not args.source or args.format is not None or is_table(args.source):
        return None
    return open_any(args.source)


def curves_of(args: argparse.Namespace, study: StudyFit | None = None) -> list[Curve]:
    """Return the curve of every data set that was asked for, of a study that may be open.

    Raises
    ------
    ScalebedError
        If there is no such source, law or data set.
    """
    from scalebed.core.errors import ScalebedError
    from scalebed.decide.sources import constant_curve, study_curves

    if args.params:
        if args.source or not args.law:
            raise ScalebedError("--params needs --law, and no table or study beside it")
        return [constant_curve(args.law, _constants(args.params))]
    if not args.source:
        raise ScalebedError("expected a table of runs, a study, or --law with --params")
    study = study or study_of(args)
    curves = _table_curves(args) if study is None else study_curves(study)
    if args.dataset is None:
        return curves
    found = [curve for curve in curves if curve.dataset == args.dataset]
    if not found:
        known = ", ".join(curve.dataset for curve in curves)
        raise ScalebedError(f"--dataset is {args.dataset!r}, expected one of {known}")
    return found


def curve_of(args: argparse.Namespace, study: StudyFit | None = None) -> Curve:
    """Return the one curve that was asked for, of a study that may be open.

    Raises
    ------
    ScalebedError
        If there are several, or none.
    """
    from scalebed.core.errors import ScalebedError

    curves = curves_of(args, study)
    if len(curves) > 1:
        known = ", ".join(curve.dataset for curve in curves)
        raise ScalebedError(f"there are several data sets, expected --dataset with one of {known}")
    return curves[0]


def _table_curves(args: argparse.Namespace) -> list[Curve]:
    from pathlib import Path

    from scalebed.decide.sources import table_curves
    from scalebed.predict.ask import table_settings
    from scalebed.tables.runs_names import parse_columns
    from scalebed.tables.runs_units import read_counted

    columns = parse_columns(args.column)
    table = read_counted(Path(args.source), columns, args.format, parse_options(args.option))
    given: dict[str, Any] = {"seed": args.seed, "loss_law": args.law, "interval": args.interval}
    given |= {"level": args.level, "draws": args.draws}
    return table_curves(table, table_settings(table, **given))


def _constants(text: str) -> dict[str, float]:
    from scalebed.core.errors import ScalebedError

    found: dict[str, float] = {}
    for word in text.split(","):
        name, equals, value = (part.strip() for part in word.partition("="))
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not name or not equals or not number == number or name in found:
            raise ScalebedError(f"--params: cannot read {word!r}, expected NAME=VALUE, each once")
        found[name] = number
    return found
