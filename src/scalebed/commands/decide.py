"""Choose N and D for a budget, a loss or an amount of money, and say how wrong that may be.

--compute is training compute. With --serve-tokens the run has the loss of the best one of that
compute and the least cost of training and serving; with --lifetime the compute pays for both.
Amounts may be written 7B, 1.4T, 1e22. docs/decide.md walks through it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from scalebed.commands.lines import print_lines
from scalebed.commands.source_options import curve_of, source_arguments

if TYPE_CHECKING:
    from scalebed.decide.costs import Demand, Prices
    from scalebed.decide.question import Question


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    source_arguments(parser)
    add = parser.add_argument
    add("--compute", metavar="C", help="training FLOPs, such as 1e22")
    add("--loss", type=float, metavar="L", help="loss that is wanted, in place of a budget")
    add("--money", metavar="X", help="amount that training may cost, at the hardware's prices")
    add("--lifetime", action="store_true", help="the budget pays for training and serving")
    add("--serve-tokens", metavar="T", help="tokens the model will serve, such as 2T")
    add("--requests", metavar="R", help="requests it will serve, in place of --serve-tokens")
    add("--input-tokens", metavar="T", help="tokens read a request")
    add("--output-tokens", metavar="T", help="tokens written a request")
    add("--unique-tokens", metavar="U", help="tokens there are; more are repetitions")
    add("--max-params", metavar="N", help="largest model that fits")
    add("--max-days", type=float, metavar="DAYS", help="time for training on the named GPUs")
    add("--gpus", type=int, metavar="K", help="how many of them (gpu.most of the hardware file)")
    add("--hardware", type=Path, metavar="FILE", help="YAML file of the site: GPUs, prices")
    add("--size", metavar="N", help="a size whose regret is wanted")


def run(args: argparse.Namespace) -> None:
    """Print the page."""
    import json

    from scalebed.core.quantities import PARAMS, read_amount
    from scalebed.decide.costs import Prices
    from scalebed.decide.decision import decide
    from scalebed.decide.page import lines
    from scalebed.decide.record import record
    from scalebed.study.hardware import load_hardware

    prices = Prices(load_hardware(args.hardware) if args.hardware else None)
    question = _question(args, prices)
    size = read_amount(args.size, "--size", PARAMS) if args.size else None
    decision = decide(curve_of(args), question, size)
    if args.json:
        print(json.dumps(record(decision, prices), indent=1, allow_nan=False))
        return
    print_lines(*lines(decision, prices))


def _question(args: argparse.Namespace, prices: Prices) -> Question:
    from scalebed.core.errors import ScalebedError
    from scalebed.core.quantities import FLOPS, PARAMS, TOKENS, read_amount
    from scalebed.decide.optimum import Caps
    from scalebed.decide.question import Question

    named = [name for name in ("compute", "loss", "money") if getattr(args, name) is not None]
    if len(named) != 1:
        found = " and ".join(f"--{name}" for name in named) or "none of them"
        raise ScalebedError(f"expected one of --compute, --loss and --money, not {found}")
    flops = read_amount(args.compute, "--compute", FLOPS) if args.compute else None
    if args.money:
        flops = prices.flops(read_amount(args.money, "--money"))
    if args.lifetime and flops is None:
        raise ScalebedError("--lifetime is about a budget, expected --compute or --money with it")
    most, unique = float("inf"), None
    if args.max_params:
        most = read_amount(args.max_params, "--max-params", PARAMS)
    if args.unique_tokens:
        unique = read_amount(args.unique_tokens, "--unique-tokens", TOKENS)
    days = float("inf")
    if args.max_days is not None:
        if not args.max_days > 0 or (args.gpus is not None and args.gpus < 1):
            raise ScalebedError("--max-days and --gpus have to be above 0")
        days = prices.most_flops(args.max_days, args.gpus)
    demand = prices.equivalent(_demand(args))
    return Question(flops, args.loss, demand, args.lifetime, unique, Caps(most, days))


def _demand(args: argparse.Namespace) -> Demand:
    from scalebed.core.errors import ScalebedError
    from scalebed.core.quantities import TOKENS, read_amount
    from scalebed.decide.costs import Demand

    if args.requests is None:
        if args.input_tokens or args.output_tokens:
            raise ScalebedError("--input-tokens and --output-tokens are of --requests, give it too")
        if args.serve_tokens is None:
            return Demand()
        return Demand(read=read_amount(args.serve_tokens, "--serve-tokens", TOKENS, zero=True))
    if args.serve_tokens is not None:
        raise ScalebedError("--serve-tokens and --requests say the same, expected one of them")
    count = read_amount(args.requests, "--requests")
    pairs = (("--input-tokens", args.input_tokens), ("--output-tokens", args.output_tokens))
    read, written = (read_amount(text or "0", name, zero=True) for name, text in pairs)
    if not read + written > 0:
        raise ScalebedError("--requests needs --input-tokens or --output-tokens above 0")
    return Demand(count * read, count * written)
