"""Measure the error of a trained cell on a task suite through lm-evaluation-harness."""

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--params", required=True, help="JSON: suite, numerics")
    parser.add_argument("--cell", required=True, type=Path, help="metrics.json of the cell")
    parser.add_argument("--suite", type=Path, help="manifest of the suite, for local tasks")
    parser.add_argument("--tokenizer", required=True, type=Path, help="manifest of the tokenizer")
    parser.add_argument("--out", required=True, type=Path, help="the tasks.json to write")
    parser.add_argument("--state", type=Path, default=Path("state"), help="folder of kept results")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")


def run(args: argparse.Namespace) -> None:
    """Measure the errors."""
    from scalebed.commands.params import parse_params
    from scalebed.evaluate.tasks import evaluate_tasks

    params = parse_params(args.params, ("suite", "numerics"))
    evaluate_tasks(
        args.cell, args.tokenizer, params, args.out, args.suite, args.state, args.threads
    )
