"""Show what a study would train, what it would cost, and why cells are not up to date.

Of a study that imports its cells: the cells and what each is there for.
"""

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalebed.study.imported import ImportedStudy
    from scalebed.study.sections import Budget


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("--study", type=Path, default=Path("config/config.yaml"), help="study file")
    add("--budget-core-hours", type=float, metavar="H", help="refuse above this, not the study's")
    add("--budget-gpu-hours", type=float, metavar="H", help="the same for GPU-hours")
    add("--budget-money", type=float, metavar="X", help="the same for the price of training")
    add("--budget-flops", type=float, metavar="C", help="refuse above this, not the study's")
    add("--hardware", type=Path, metavar="FILE", help="YAML file of the site: GPUs, queues")
    add("--devices", type=int, help="cores or GPUs to train on (all cores; the GPUs of a node)")
    add("--no-calibration", action="store_true", help="do not time steps; use times known already")
    add("--summary", action="store_true", help="leave the single cells out")
    add("--json", action="store_true", help="write JSON instead of text")
    add("--name-only", action="store_true", help="print the study's name and stop")


def run(args: argparse.Namespace) -> None:
    """Print the plan and refuse it when it is over budget or repeats data."""
    from scalebed.core.errors import ScalebedError
    from scalebed.plan.estimates import Calibration
    from scalebed.plan.plan import make_plan, record
    from scalebed.plan.render import render
    from scalebed.study.hardware import LAPTOP, load_hardware
    from scalebed.study.imported import ImportedStudy
    from scalebed.study.load import load_any
    from scalebed.study.search import SearchStudy

    study = load_any(args.study)
    if args.name_only:
        print(study.name)
        return
    if isinstance(study, ImportedStudy):
        print(_imported(study, args), flush=True)
        return
    if isinstance(study, SearchStudy):
        study = study.study()
    hardware = load_hardware(args.hardware) if args.hardware else LAPTOP
    devices = args.devices
    if devices is None:
        devices = hardware.gpu.per_node if hardware.gpu else os.cpu_count() or 1
    if devices < 1:
        raise ScalebedError(f"--devices is {devices}, expected at least 1")
    calibration = Calibration(Path("state/calibration.json"), not args.no_calibration)
    plan = make_plan(study, Path(), calibration, devices, _budget(args), hardware)
    text = json.dumps(record(plan), indent=1) if args.json else render(plan, not args.summary)
    print(text, flush=True)
    if plan.refusals:
        raise ScalebedError("; ".join(plan.refusals))


def _imported(study: "ImportedStudy", args: argparse.Namespace) -> str:
    """Return the cells of an imported study and what each is there for."""
    from scalebed.plan.imported import imported_plan, record, render

    plan = imported_plan(study, Path())
    return json.dumps(record(plan), indent=1) if args.json else render(plan, not args.summary)


def _budget(args: argparse.Namespace) -> "Budget":
    from scalebed.core.errors import ScalebedError
    from scalebed.study.sections import Budget

    given = {}
    for name in Budget.model_fields:
        value = getattr(args, f"budget_{name}")
        if value is None:
            continue
        if not value > 0:
            raise ScalebedError(f"--budget-{name.replace('_', '-')} is {value:g}, expected above 0")
        given[name] = value
    return Budget(**given)
