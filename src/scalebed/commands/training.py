"""What the commands that train have in common: their options, their ranks and how they end."""

import argparse
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalebed.core.tracking import DEFAULT_PROJECT, PROJECT, TRACKERS, TRACKING

if TYPE_CHECKING:  # importing it takes as long as a small cell trains
    from scalebed.train.job import Options

Train = Callable[[Any, argparse.Namespace, "Options"], object]
"""Trains what parameters describe, with the arguments of its command."""

_OPTIONS = (
    *("state", "threads", "checkpoint_seconds", "device", "tracking", "project"),
    *("tensorboard", "ranks", "shard", "recompute", "wait_minutes"),
)


def arguments(parser: argparse.ArgumentParser, what: str, record: str) -> None:
    """Declare the options that every training has.

    Parameters
    ----------
    parser
        The parser of the command.
    what, record
        Words for help: what is trained, and which record is written.
    """
    parser.add_argument("--params", required=True, help=f"the {what}'s canonical JSON parameters")
    parser.add_argument("--dataset", required=True, type=Path, help="manifest of the data set")
    parser.add_argument("--out", required=True, type=Path, help=f"{record} of the {what}")
    parser.add_argument("--state", default=Path("state"), type=Path, help="root of resumable state")
    parser.add_argument("--threads", default=1, type=int, help="CPU threads")
    parser.add_argument(
        "--checkpoint-seconds", default=60.0, type=float, help="save state this often"
    )
    parser.add_argument(
        "--wait-minutes",
        default=0.0,
        type=float,
        help=f"wait so long for another process that trains the {what} (not at all)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto")
    parser.add_argument("--compile", action="store_true", help="use torch.compile")
    parser.add_argument("--ranks", default=1, type=int, help="processes, one a device (1)")
    for name, words in (
        ("shard", "share weights and moments out to ranks, instead of copies on each"),
        ("recompute", "compute blocks again in the backward pass, to save memory"),
    ):
        action = argparse.BooleanOptionalAction
        parser.add_argument(f"--{name}", action=action, help=f"{words} (default: by memory)")
    _tracking(parser)


def _tracking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tracking",
        default=os.environ.get(TRACKING) or None,
        metavar="TRACKER",
        help=f"tell {', '.join(TRACKERS)} or a module:function of yours how it goes "
        f"(${TRACKING}, else nothing)",
    )
    parser.add_argument(
        "--project",
        default=os.environ.get(PROJECT) or DEFAULT_PROJECT,
        help=f"project of the tracker (${PROJECT}, else {DEFAULT_PROJECT})",
    )
    parser.add_argument("--tensorboard", type=Path, help="track by events in this folder")


def run(
    args: argparse.Namespace,
    verb: str,
    train: Train,
    trained: Callable[[Any, argparse.Namespace, "Options"], bool],
) -> int:
    """Train; exit 0 with a record, or 75 when interrupted and saved.

    Parameters
    ----------
    args
        Arguments of the command.
    verb
        Its name, under which ranks are started.
    train
        Trains, in each rank.
    trained
        Tells, before ranks are started, whether there is nothing left to train; it puts back what
        is missing.
    """
    from scalebed.core.errors import ScalebedError
    from scalebed.train.distributed.ranks import is_rank

    try:
        params = json.loads(args.params)
    except json.JSONDecodeError as error:
        raise ScalebedError(f"--params is not JSON: {error}") from error
    if is_rank():
        return _as_rank(params, args, train)
    if args.ranks != 1 and _by_our_launcher(params, args):
        from scalebed.train.distributed.launch import launch

        if trained(params, args, _options(args)):
            return 0
        return launch(_words(verb, args), args.ranks, args.device, args.state)
    return _train(params, args, train)


def _train(params: Any, args: argparse.Namespace, train: Train) -> int:
    from scalebed.train.distributed.ranks import world
    from scalebed.train.interrupt import EXIT_STATUS, Interrupted, end_on_sigterm

    end_on_sigterm()
    try:
        train(params, args, _options(args))
    except Interrupted as interrupted:
        if world()[0] == 0:
            logging.getLogger(__name__).warning("%s; start again to go on", interrupted)
        return EXIT_STATUS
    return 0


def _options(args: argparse.Namespace) -> "Options":
    """Return what the command line says about how to train."""
    from scalebed.train.job import Options

    chosen = {name: getattr(args, name) for name in _OPTIONS}
    minutes = chosen.pop("wait_minutes")
    return Options(**chosen, compiled=args.compile, wait_seconds=60 * minutes)


def _by_our_launcher(params: Any, args: argparse.Namespace) -> bool:
    """Tell whether several ranks are ours to start; a backend may have a launcher of its own."""
    from scalebed.train.distributed.ranks import check_ranks
    from scalebed.train.params import CellFailure, Recipe, check_outline

    check_outline(params)
    try:
        recipe = Recipe.from_record(params["recipe"])
    except CellFailure:
        return False  # training records why
    check_ranks(recipe.batch_sequences, args.ranks)
    return recipe.backend == "torch"


def _words(verb: str, args: argparse.Namespace) -> list[str]:
    """Return the command line again, as every rank gets it."""
    verbose = ["--verbose"] if logging.getLogger().level == logging.DEBUG else []
    words = [*verbose, verb, *(["--compile"] if args.compile else [])]
    for path in args.trunk:
        words.append(f"--trunk={path}")
    for name in ("params", "dataset", "out", *_OPTIONS):
        value, option = getattr(args, name), name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{option}")
        elif value is not None:
            words.append(f"--{option}={value}")
    return words


def _as_rank(params: Any, args: argparse.Namespace, train: Train) -> int:
    """Train as one of several processes; errors are left for the launcher to tell."""
    from scalebed.train.distributed.launch import die_with_launcher, failed_rank
    from scalebed.train.distributed.ranks import world

    die_with_launcher()
    if world()[0]:
        logging.getLogger().setLevel(logging.WARNING)  # one voice is enough
    try:
        return _train(params, args, train)
    except Exception as error:
        return failed_rank(error)
