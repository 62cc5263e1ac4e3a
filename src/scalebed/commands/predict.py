"""Predict the loss and the errors of runs nobody trained, with intervals and what they contain.

A target is params=N,tokens=D, perhaps with unique=U where tokens are repeated; amounts may be
written 7B or 1.4T.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from scalebed.commands.source_options import curves_of, source_arguments

if TYPE_CHECKING:
    from scalebed.predict.table_runs import Target


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    source_arguments(parser)
    parser.add_argument(
        "--target",
        action="append",
        required=True,
        metavar="params=N,tokens=D[,unique=U]",
        help="a run to predict; may be given several times",
    )


def run(args: argparse.Namespace) -> None:
    """Print what the runs would give."""
    import json

    from scalebed.decide.predicted import lines, record

    targets = [read_target(text) for text in args.target]
    curves = curves_of(args)
    if args.json:
        found = [record(curve, targets) for curve in curves]
        print(json.dumps(found, indent=1, allow_nan=False))
        return
    for curve in curves:
        for line in lines(curve, targets):
            print(line)


def read_target(text: str) -> Target:
    """Read one --target.

    Raises
    ------
    ScalebedError
        If it does not name N and D once each, as amounts above 0.
    """
    from scalebed.core.errors import ScalebedError
    from scalebed.core.quantities import PARAMS, TOKENS, read_amount
    from scalebed.predict.table_runs import Target

    kinds = {"params": PARAMS, "tokens": TOKENS, "unique": TOKENS}
    found: dict[str, float] = {}
    for word in text.split(","):
        key, equals, value = (part.strip() for part in word.partition("="))
        if key not in kinds or not equals or key in found:
            raise ScalebedError(
                f"--target {text}: cannot read {word!r}, expected params=N,tokens=D and perhaps "
                "unique=U, each once"
            )
        found[key] = read_amount(value, f"--target {text}: {key}", kinds[key])
    for key in ("params", "tokens"):
        if key not in found:
            raise ScalebedError(f"--target {text}: {key} is missing, expected params=N,tokens=D")
    return Target(found["params"], found["tokens"], None, found.get("unique"))
