"""Suggest the runs that narrow the law at a target most, each with its cost and what it brings.

The target is a run (--target) or the compute-optimal one (--compute). Runs are added until the
law is known to --until, the --budget is used up, or there are --count of them. docs/suggest.md says
what is counted.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from scalebed.commands.lines import print_lines
from scalebed.commands.source_options import curve_of, source_arguments, study_of

if TYPE_CHECKING:
    from scalebed.core.quantities import Amount
    from scalebed.decide.curve import Curve
    from scalebed.decide.suggest.designs import Limits
    from scalebed.decide.suggest.suggestion import Wanted
    from scalebed.predict.open_study import StudyFit

_FEW, _MANY = 5, 100


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    source_arguments(parser)
    add = parser.add_argument
    add(
        "--target",
        action="append",
        default=[],
        metavar="params=N,tokens=D[,unique=U]",
        help="a run whose loss is to be known better; may be given several times",
    )
    add("--compute", metavar="C", help="training FLOPs whose optimum is the target instead")
    add("--until", metavar="SHARE", help="half-width of the law that is wanted, such as 1%%")
    add("--budget", metavar="FLOPS", help="training FLOPs of all runs together")
    add("--count", type=int, help=f"most runs ({_FEW}; {_MANY} with --until or --budget)")
    add("--sizes", metavar="N,...", help="sizes of the candidates (of the data, and a step beyond)")
    add("--multipliers", metavar="M,...", help="their tokens per parameter, likewise")
    add("--max-flops", metavar="FLOPS", help="training FLOPs of the dearest candidate")
    add("--unique-tokens", metavar="U", help="tokens there are; more are repetitions")
    add("--cooldown", metavar="SHARE", help="runs branch off trunks and cool down over this share")
    add("--kappa", type=float, help="power of the cost that a run is chosen by (0.35)")
    add("--hardware", type=Path, metavar="FILE", help="YAML file of the site, for GPU-hours")


def run(args: argparse.Namespace) -> None:
    """Print the runs."""
    import json

    from scalebed.decide.costs import Prices
    from scalebed.decide.suggest.page import lines, record
    from scalebed.decide.suggest.suggestion import suggestion
    from scalebed.study.hardware import load_hardware

    prices = Prices(load_hardware(args.hardware) if args.hardware else None)
    study = study_of(args)
    curve = curve_of(args, study)
    found = suggestion(curve, _wanted(args, curve), seed=args.seed)
    sizes, recipe = (None, None) if study is None else _names(study, curve.dataset)
    if args.json:
        print(json.dumps(record(found, prices, recipe), indent=1, allow_nan=False))
        return
    print_lines(*lines(found, prices, sizes, recipe))


def _wanted(args: argparse.Namespace, curve: Curve) -> Wanted:
    from scalebed.commands.targets import read_target
    from scalebed.core.errors import ScalebedError
    from scalebed.core.quantities import FLOPS, read_amount
    from scalebed.decide.suggest.designs import Run
    from scalebed.decide.suggest.greedy import POWER
    from scalebed.decide.suggest.suggestion import Wanted, optimum

    if bool(args.target) == bool(args.compute):
        raise ScalebedError("expected a --target or --compute, and not both")
    limits = _limits(args)
    if args.compute:
        compute = read_amount(args.compute, "--compute", FLOPS)
        targets: tuple[Run, ...] = (optimum(curve, compute, limits.unique_tokens),)
    else:
        named = [read_target(text) for text in args.target]
        targets = tuple(Run(one.params, one.tokens, one.seen) for one in named)
    kappa = POWER if args.kappa is None else args.kappa
    if not 0 <= kappa <= 2:
        raise ScalebedError(f"--kappa is {kappa:g}, expected 0 .. 2")
    goal = args.until or args.budget
    return Wanted(
        targets,
        _share(args.until, "--until") if args.until else None,
        read_amount(args.budget, "--budget", FLOPS) if args.budget else float("inf"),
        args.count if args.count is not None else (_MANY if goal else _FEW),
        limits,
        kappa,
        _share(args.cooldown, "--cooldown") if args.cooldown else None,
    )


def _limits(args: argparse.Namespace) -> Limits:
    from scalebed.core.quantities import FLOPS, PARAMS, PLAIN, TOKENS, read_amount
    from scalebed.decide.suggest.designs import Limits

    def several(text: str | None, name: str, amount: Amount) -> tuple[float, ...] | None:
        if text is None:
            return None
        return tuple(read_amount(word, name, amount) for word in text.split(","))

    most = read_amount(args.max_flops, "--max-flops", FLOPS) if args.max_flops else float("inf")
    unique = None
    if args.unique_tokens:
        unique = read_amount(args.unique_tokens, "--unique-tokens", TOKENS)
    return Limits(
        several(args.sizes, "--sizes", PARAMS),
        several(args.multipliers, "--multipliers", PLAIN),
        most,
        unique,
    )


def _share(text: str, name: str) -> float:
    """Read 1% or 0.01."""
    from scalebed.core.quantities import read_amount

    bare = text.strip().removesuffix("%")
    return read_amount(bare, name) / (100 if bare != text.strip() else 1)


def _names(study: StudyFit, dataset: str) -> tuple[dict[str, float], str | None]:
    """N of the sizes of a study by name, and the recipe if its runs have one."""
    import re

    found = {}
    recipes = set()
    for cell in study.tables["cells"]:
        if cell["dataset"] == dataset:
            recipes.add(str(cell["recipe"]))
        size = re.search(r"(?:^|/)size=([^/]+)", str(cell["cell"]))
        if size and cell["params"]:
            found[size[1]] = float(cell["params"])
    return found, recipes.pop() if len(recipes) == 1 else None
