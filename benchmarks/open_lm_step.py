"""A training step of open_lm, for `benchmarks/train.py`.

    python benchmarks/open_lm_step.py [--threads 1] [--seconds 10]

The model, its loss and its learning-rate schedule are open_lm's own; the step does what
``open_lm.train.train_one_epoch`` and ``open_lm.main`` do with them on one device without gradient
accumulation: batches as nested lists, zero_grad, forward, loss with z-loss, backward,
``clip_grad_norm_``, AdamW as they build it, and the copy of the loss that is logged every step.
Reading tars, logging and checkpoints are left out: this is the step and nothing else. Run alone, it
compares with scalebed's step on models whose feed-forward layers open_lm can express.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scalebed import recipes
from scalebed.model import Decoder, ModelConfig, initialise
from scalebed.open_lm import convert
from scalebed.train.backends import installed
from scalebed.train.loop import Source, Training
from scalebed.train.runtime import prepare_process
from scalebed.train.settings import Recipe

SIZES = {
    "0.1M": {"width": 32, "layers": 2, "heads": 2, "vocab": 512},
    "1M": {"width": 128, "layers": 4, "heads": 4, "vocab": 1024},
    "10M": {"width": 384, "layers": 5, "heads": 6, "vocab": 1024},
}
STEPS = 1 << 16


class OpenLMTraining:
    """Steps of open_lm on the weights of a decoder, with the interface of `Training`.

    Raises ValueError for an architecture that open_lm cannot express, ImportError without it.
    """

    def __init__(self, ours: Decoder, recipe: Recipe, steps: int, source: Source) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from open_lm.data import sample_chunk
            from open_lm.losses import CrossEntropyLossWithZLoss
            from open_lm.model import create_model
            from open_lm.params import parse_args
            from open_lm.precision import get_autocast
            from open_lm.scheduler import cosine_lr
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            path.write_text(json.dumps(convert.model_json(ours.config)))
            self.args = parse_args(["--model", str(path), *convert.model_arguments(ours.config)])
            self.model = create_model(self.args)
        self.args.vocab_size, self.args.seq_len = ours.config.vocab, ours.config.context
        self.model.load_state_dict(convert.to_open_lm(ours.state_dict(), ours.config))
        self.loss = CrossEntropyLossWithZLoss(recipe.z_loss)
        self.autocast = get_autocast({"fp32": "fp32", "bf16": "amp_bfloat16"}[recipe.precision])
        self.sample_chunk = sample_chunk
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [], "weight_decay": 0.0},
                {
                    "params": list(self.model.parameters()),
                    "weight_decay": recipe.weight_decay / recipe.lr,
                },
            ],
            lr=recipe.lr,
            betas=(recipe.beta1, recipe.beta2),
            eps=recipe.eps,
        )
        end, least = recipe.lr_end, 0.0
        self.schedule = cosine_lr(
            *(self.optimizer, recipe.lr, recipe.warmup_steps, steps, end, least)
        )
        self.recipe, self.source, self.done = recipe, source, 0
        self.model.train()

    def step(self) -> Tensor:
        """Take a step and return its objective, cross-entropy and z-loss together."""
        self.schedule(self.done)
        rows = self.source.batch(self.done, self.recipe.batch_sequences)
        # open_lm makes the tensor of lists; ours come as an array, so that is not counted.
        texts = torch.from_numpy(np.ascontiguousarray(rows))
        self.optimizer.zero_grad()
        with self.autocast():
            inputs, targets = self.sample_chunk(texts, self.args)
            out, _, _ = self.model(inputs)
            total = self.loss(out.reshape(-1, self.args.vocab_size), targets.reshape(-1))
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.grad_clip)
        self.optimizer.step()
        self.done += 1
        return total.detach().clone()


class Batches:
    def __init__(self, vocab: int, context: int, sequences: int) -> None:
        rng = np.random.default_rng(0)
        self.batches = rng.integers(vocab, size=(16, sequences, context + 1))

    def batch(self, step: int, batch_sequences: int) -> np.ndarray:
        return self.batches[step % 16, :batch_sequences]


def measure(name: str, recipe: Recipe, seconds: float, context: int) -> None:
    config = ModelConfig(**SIZES[name], context=context)
    model = Decoder(config)
    initialise(model, 0)
    source = Batches(config.vocab, context, recipe.batch_sequences)
    theirs = OpenLMTraining(model, recipe, STEPS, source)
    ours = Training(model, recipe, STEPS, source)
    for step in range(10):
        reference = float(theirs.step())
        ours.step()
        mine = float(ours.curve[step, :2].sum())
        if abs(mine - reference) > 1e-3:
            raise SystemExit(f"{name}: losses differ in step {step}: {mine} and {reference}")
    times: tuple[list[float], list[float]] = ([], [])
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        for part, run in zip(times, (ours.step, theirs.step), strict=True):
            start = clock()
            run()
            part.append(clock() - start)
    fast, slow = (statistics.median(part) for part in times)
    tokens = recipe.batch_sequences * context
    count = recipes.count_params(config.shape).total
    rates = f"{tokens / fast:>12,.0f} {tokens / slow:>14,.0f} {slow / fast:>7.2f}"
    print(f"{name:>6} {count:>12,} {rates}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10, help="time for each size")
    parser.add_argument("--sequences", type=int, default=8, help="sequences in a step")
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    args = parser.parse_args()
    if not installed("open_lm"):
        sys.exit("open_lm is not installed here; install it with: requirements/open_lm.sh")
    prepare_process(args.threads)
    torch.set_deterministic_debug_mode("default")  # open_lm does not promise it
    recipe = Recipe(
        batch_sequences=args.sequences,
        **{"micro_sequences": None, "lr": 3e-3, "lr_end": 3e-5, "warmup_steps": 100},
        **{"beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 1e-4, "grad_clip": 1.0},
        **{"z_loss": 1e-4, "init": "depth_scaled", "backend": "torch"},
        precision=args.precision,
    )
    print("  size   params (N)  ours, tok/s open_lm, tok/s   ratio")
    for name in SIZES:
        measure(name, recipe, args.seconds, args.context)


if __name__ == "__main__":
    main()
