"""Evaluation of tasks: our adapter against lm-eval's own HFLM on the same model and items.

    pip install transformers accelerate
    python benchmarks/tasks.py [--threads 1] [--rounds 3] [--items 200]

Both run the local tasks through `lm_eval.evaluator.evaluate`, which builds the requests and
computes the metrics alike; loading of tasks and model is left out for both. HFLM wraps the same
decoder as a model of transformers and gets each batch size in turn; the best counts. The two
alternate in one process. On one thread CPU time is measured, which a busy machine blurs less. Ours
is timed without and with the tokens that the cells of a study share; the first ratio compares the
same work.

Every item's log-likelihoods are compared first: at most 1e-4 apart, and the same accuracy item for
item unless the best two choices are closer than that.
"""

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TQDM_DISABLE="1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests/unit"))

import numpy as np
import torch
from evaluation_cells import TASKS, VOCAB, World
from hflm import hflm
from lm_eval.evaluator import evaluate

from scalebed.core import arithmetic
from scalebed.data.tokenizer import load_tokenizer
from scalebed.evaluate.encoding import Encoder
from scalebed.evaluate.lm_eval_model import CellLM
from scalebed.evaluate.loading import load_local, quiet, read_items
from scalebed.evaluate.suites.build import build_suite
from scalebed.model import Decoder, ModelConfig, initialise

MODELS = {
    "0.1M": ({"width": 40, "layers": 3, "heads": 2, "context": 128}, 60),
    "1M": ({"width": 144, "layers": 4, "heads": 4, "context": 128}, 60),
    "long": ({"width": 80, "layers": 3, "heads": 2, "context": 512}, 1200),
}
"""Shape of each model, and characters of context before the sentence of an item."""
BATCHES: tuple[int | str, ...] = (1, 16, 64, "auto")


def suite(world: World, items: int, context_chars: int) -> dict:
    path = world.folder / f"suite-{context_chars}" / "manifest.json"
    params = {"suite": "cloze", "corpus": "invented", "tasks": TASKS, "items": items, "seed": 1}
    params |= {"context_chars": context_chars, "sentence_chars": 1000, "numerics": 1}
    build_suite(world.corpus, params, path)
    return {name: read_items(path, name)[0] for name in TASKS}


def run(lm, items: dict, samples: bool = False) -> tuple[float, dict]:
    tasks = load_local(items, None)
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    found = evaluate(lm, {"tasks": tasks}, bootstrap_iters=0, log_samples=samples)
    return clock() - start, found


def compare(ours: dict, theirs: dict) -> tuple[float, int, int]:
    """Return the largest distance, items of other accuracy, and those of them that were ties."""
    worst, other, ties = 0.0, 0, 0
    for name in TASKS:
        for a, b in zip(ours["samples"][name], theirs["samples"][name], strict=True):
            scores = [np.array([float(r[0][0]) for r in one["resps"]]) for one in (a, b)]
            worst = max(worst, float(np.abs(scores[0] - scores[1]).max()))
            if a["acc"] != b["acc"]:
                other += 1
                ties += np.diff(np.sort(scores[0])[-2:])[0] < 2e-4
    return worst, other, ties


def measure(name: str, world: World, rounds: int, count: int, batches: list) -> None:
    shape, context_chars = MODELS[name]
    config = ModelConfig(vocab=VOCAB, ffn_multiple=16, **shape)
    model = Decoder(config)
    initialise(model, 0)
    model.eval().requires_grad_(False)
    items = suite(world, count, context_chars)
    tokenizer = load_tokenizer(world.tokenizer)
    kept = Encoder(tokenizer, name, world.folder / f"tokens-{name}")
    lms = {"ours": CellLM(model, tokenizer), "kept": CellLM(model, tokenizer, kept)}
    lms |= {f"HFLM {size}": hflm(model, world.tokenizer, size) for size in batches}
    _, mine = run(lms["ours"], items, samples=True)
    run(lms["kept"], items)
    _, other = run(lms[f"HFLM {batches[-1]}"], items, samples=True)
    worst, differing, ties = compare(mine, other)
    times: dict[str, list[float]] = {key: [] for key in lms}
    for _ in range(rounds):
        for key, lm in lms.items():
            times[key].append(run(lm, items)[0])
    total = sum(map(len, items.values()))
    rates = {key: total / statistics.median(part) for key, part in times.items()}
    best = max(rates[f"HFLM {size}"] for size in batches)
    params = arithmetic.count_params(config).total
    print(f"{name}: {params:,} parameters, context {config.context}, {total} items")
    print("  items/s: " + ", ".join(f"{key} {rate:,.0f}" for key, rate in rates.items()))
    print(f"  ratio {rates['ours'] / best:.2f}, with kept tokens {rates['kept'] / best:.2f}")
    print(f"  largest difference {worst:.1e}; other accuracy {differing} items, ties {ties}")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--items", type=int, default=200, help="items of each task")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--batches", nargs="+", default=[str(size) for size in BATCHES])
    args = parser.parse_args()
    batches = [int(size) if size.isdigit() else size for size in args.batches]
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    quiet()
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "world", items=10)
        torch.set_num_threads(args.threads)
        for name in args.models:
            measure(name, world, args.rounds, args.items, batches)


if __name__ == "__main__":
    main()
