"""Compare N* and D* from parabolas at budgets (approach 2) with those of the law (approach 3).

Runs whose 6 N D agree are a budget. Each gets a parabola of the loss in ln N, the minima a line;
beside them stand the same numbers from the fitted law, all with intervals, and the bias that
approach 2 has on these very runs.
"""

import argparse

from scalebed.commands.lines import print_lines


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from scalebed.commands.source_options import source_arguments

    source_arguments(parser)
    add = parser.add_argument
    add("--budgets", metavar="C,C,...", help="computes of the budgets in FLOPs (found in the runs)")
    add(
        "--tolerance",
        type=float,
        default=10.0,
        metavar="PERCENT",
        help="how far 6 N D of a run may be from its budget (10)",
    )
    add("--compute", metavar="C,C,...", help="computes in FLOPs that both are carried to")


def run(args: argparse.Namespace) -> None:
    """Compare, print."""
    import json

    from scalebed.commands.source_options import curve_of
    from scalebed.core.errors import ScalebedError
    from scalebed.core.quantities import FLOPS, read_amount
    from scalebed.decide.isoflop.budgets import budgets_found, budgets_given, overlapping
    from scalebed.decide.isoflop.isoflop import isoflop
    from scalebed.decide.isoflop.text import lines, record

    if not 0 < args.tolerance <= 50:
        raise ScalebedError(f"--tolerance is {args.tolerance:g}, expected a percentage up to 50")
    tolerance = args.tolerance / 100

    def amounts(name: str, text: str | None) -> list[float]:
        return [read_amount(word, name, FLOPS) for word in (text or "").split(",") if word.strip()]

    wanted, computes = amounts("--budgets", args.budgets), amounts("--compute", args.compute)
    pair = overlapping(wanted, tolerance)
    if pair:
        raise ScalebedError(
            f"--budgets {pair[0]:g} and {pair[1]:g} are too close for a tolerance of "
            f"{args.tolerance:g} %, a run could belong to both"
        )
    curve = curve_of(args)
    if not curve.params.size:
        raise ScalebedError("constants have no runs to group by compute, expected a table or study")
    flops = 6 * curve.params * curve.tokens
    if wanted:
        budgets = budgets_given(flops, wanted, tolerance)
    else:
        budgets = budgets_found(flops, curve.params, tolerance)
    if not budgets:
        raise ScalebedError(
            f"no budget: no three runs of different N agree in 6 N D within {args.tolerance:g} % "
            "of one compute; --tolerance widens it"
        )
    found = isoflop(curve, budgets, computes, args.seed)
    if args.json:
        print(json.dumps(record(found, curve, tolerance), indent=1, allow_nan=False))
        return
    print_lines(*lines(found, curve, tolerance))
