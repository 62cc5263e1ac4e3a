"""Train one cell, going on where an earlier attempt stopped."""

import argparse
import json
import logging
from pathlib import Path


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
    parser.add_argument("--tensorboard", type=Path, help="folder for TensorBoard events")


def run(args: argparse.Namespace) -> int:
    """Train the cell; exit 0 with a record, or 75 when interrupted and saved."""
    from scalebed.errors import ScalebedError
    from scalebed.train.cell import train_cell
    from scalebed.train.interrupt import EXIT_STATUS, Interrupted
    from scalebed.train.job import Options

    try:
        params = json.loads(args.params)
    except json.JSONDecodeError as error:
        raise ScalebedError(f"--params is not JSON: {error}") from error
    names = ("state", "threads", "checkpoint_seconds", "device", "tensorboard")
    options = Options(
        compiled=args.compile,
        wait_seconds=60 * args.wait_minutes,
        **{name: getattr(args, name) for name in names},
    )
    try:
        train_cell(params, args.dataset, args.out, options)
    except Interrupted as interrupted:
        logging.getLogger(__name__).warning("%s; start again to go on", interrupted)
        return EXIT_STATUS
    return 0
