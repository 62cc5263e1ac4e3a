"""Train one cell, going on where an earlier attempt stopped."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

_OPTIONS = (
    *("state", "threads", "checkpoint_seconds", "device", "tensorboard"),
    *("ranks", "shard", "recompute", "wait_minutes"),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("--params", required=True, help="the cell's canonical JSON parameters")
    parser.add_argument("--dataset", required=True, type=Path, help="manifest of the data set")
    parser.add_argument("--out", required=True, type=Path, help="metrics.json of the cell")
    parser.add_argument("--state", default=Path("state"), type=Path, help="root of resumable state")
    parser.add_argument("--threads", default=1, type=int, help="CPU threads")
    parser.add_argument(
        "--checkpoint-seconds", default=60.0, type=float, help="save state this often"
    )
    parser.add_argument(
        "--wait-minutes",
        default=0.0,
        type=float,
        help="wait so long for another process that trains the cell (not at all)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto")
    parser.add_argument("--compile", action="store_true", help="use torch.compile")
    parser.add_argument("--ranks", default=1, type=int, help="processes, one a device (1)")
    for name, what in (
        ("shard", "share weights and moments out to ranks, instead of copies on each"),
        ("recompute", "compute blocks again in the backward pass, to save memory"),
    ):
        action = argparse.BooleanOptionalAction
        parser.add_argument(f"--{name}", action=action, help=f"{what} (default: by memory)")
    parser.add_argument("--tensorboard", type=Path, help="folder for TensorBoard events")


def run(args: argparse.Namespace) -> int:
    """Train the cell; exit 0 with a record, or 75 when interrupted and saved."""
    from scalebed.core.errors import ScalebedError
    from scalebed.train.distributed.ranks import is_rank

    try:
        params = json.loads(args.params)
    except json.JSONDecodeError as error:
        raise ScalebedError(f"--params is not JSON: {error}") from error
    if is_rank():
        return _as_rank(params, args)
    if args.ranks != 1:
        return _with_ranks(params, args)
    return _train(params, args)


def _train(params: Any, args: argparse.Namespace) -> int:
    from scalebed.train.cell import train_cell
    from scalebed.train.distributed.ranks import world
    from scalebed.train.interrupt import EXIT_STATUS, Interrupted, end_on_sigterm
    from scalebed.train.job import Options

    end_on_sigterm()
    try:
        train_cell(params, args.dataset, args.out, Options(**_options(args)))
    except Interrupted as interrupted:
        if world()[0] == 0:
            logging.getLogger(__name__).warning("%s; start again to go on", interrupted)
        return EXIT_STATUS
    return 0


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the values of `scalebed.train.job.Options` that the command line gives."""
    chosen = {name: getattr(args, name) for name in _OPTIONS}
    minutes = chosen.pop("wait_minutes")
    return chosen | {"compiled": args.compile, "wait_seconds": 60 * minutes}


def _with_ranks(params: Any, args: argparse.Namespace) -> int:
    """Train with several processes: by our launcher, unless the backend has one of its own."""
    from scalebed.train.distributed.ranks import check_ranks
    from scalebed.train.params import CellFailure, Recipe, check_params

    check_params(params)
    try:
        recipe = Recipe.from_record(params["recipe"])
    except CellFailure:
        return _train(params, args)  # which records why
    check_ranks(recipe.batch_sequences, args.ranks)
    if recipe.backend != "torch":
        return _train(params, args)
    from scalebed.train.cell import restore_finished
    from scalebed.train.distributed.launch import launch
    from scalebed.train.job import Options

    if restore_finished(params, args.dataset, args.out, Options(**_options(args))):
        return 0
    return launch(_words(args), args.ranks, args.device, args.state)


def _words(args: argparse.Namespace) -> list[str]:
    """Return the command line again, as every rank gets it."""
    verbose = ["--verbose"] if logging.getLogger().level == logging.DEBUG else []
    words = [*verbose, "train-cell", *(["--compile"] if args.compile else [])]
    for name in ("params", "dataset", "out", *_OPTIONS):
        value, option = getattr(args, name), name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{option}")
        elif value is not None:
            words.append(f"--{option}={value}")
    return words


def _as_rank(params: Any, args: argparse.Namespace) -> int:
    """Train as one of several processes; errors are left for the launcher to tell."""
    from scalebed.train.distributed.launch import die_with_launcher, failed_rank
    from scalebed.train.distributed.ranks import world

    die_with_launcher()
    if world()[0]:
        logging.getLogger().setLevel(logging.WARNING)  # one voice is enough
    try:
        return _train(params, args)
    except Exception as error:
        return failed_rank(error)
