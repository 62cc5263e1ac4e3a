"""Training throughput of scalebed against a plain step and against open_lm.

    python benchmarks/train.py [--threads 1] [--seconds 20] [--sequences 8] [--sizes 0.1M 1M 10M]
        [--precision fp32] [--open-lm-python PYTHON]

The plain step is written the way small trainers usually are: one module per layer, one linear
layer per projection of the SwiGLU, `F.cross_entropy` plus a z-loss, `clip_grad_norm_`, fused AdamW
over the list of parameters. open_lm's is the step of its own `train_one_epoch` on its own model,
where open_lm is installed (in another environment: name its Python).

Each trainer runs in a process of its own, as it would in use: what scalebed sets for its process
(memory that is kept, denormals flushed) is part of its speed. The processes take turns of a few
steps, so that whatever else the machine does hits all alike; medians over the turns and the ratios
of those are printed. On one thread CPU time is measured, which a busy machine blurs less. All
three start from the same weights and train on the same batches; their first losses are compared.
"""

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from scalebed.core import arithmetic
from scalebed.model import Decoder, ModelConfig, initialise
from scalebed.train.loop import Training
from scalebed.train.params import Recipe
from scalebed.train.runtime import prepare_process

SIZES = {
    "39k": {"width": 24, "layers": 2, "heads": 1, "vocab": 512, "ffn_multiple": 16},
    # Feed-forward widths are multiples of 256, since open_lm has no others.
    "0.1M": {"width": 32, "layers": 2, "heads": 2, "vocab": 512},
    "1M": {"width": 128, "layers": 4, "heads": 4, "vocab": 1024},
    "10M": {"width": 384, "layers": 5, "heads": 6, "vocab": 1024},
    # The smallest model of arXiv 2403.08540, whose vocabulary is 50,432.
    "11m": {"width": 96, "layers": 8, "heads": 4, "vocab": 50432},
}
RECIPE = Recipe(
    batch_sequences=8,
    micro_sequences=None,
    lr=3e-3,
    lr_end=3e-5,
    warmup_steps=100,
    beta1=0.9,
    beta2=0.95,
    eps=1e-8,
    weight_decay=1e-4,
    grad_clip=1.0,
    z_loss=1e-4,
    init="depth_scaled",
    precision="fp32",
    backend="torch",
)
STEPS = 1 << 16
TURN_SECONDS = 0.5
"""Length of a turn; a step that takes longer is a turn."""

Step = Callable[[], float]
"""Takes one training step and returns its loss."""


class PlainBlock(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d, h = config.width, config.ffn_width
        self.heads = config.heads
        self.norm1, self.norm2 = nn.LayerNorm(d, bias=False), nn.LayerNorm(d, bias=False)
        self.q_norm, self.k_norm = nn.LayerNorm(d, bias=False), nn.LayerNorm(d, bias=False)
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.out = nn.Linear(d, d, bias=False)
        self.gate, self.up = nn.Linear(d, h, bias=False), nn.Linear(d, h, bias=False)
        self.down = nn.Linear(h, d, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        b, s, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        q, k = self.q_norm(q), self.k_norm(k)
        q, k, v = (t.view(b, s, self.heads, -1).transpose(1, 2) for t in (q, k, v))
        q, k = (turn(q, cos, sin), turn(k, cos, sin))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, s, d))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-b, a), dim=-1) * sin


class Plain(nn.Module):
    def __init__(self, ours: Decoder) -> None:
        super().__init__()
        config = ours.config
        self.embedding = nn.Embedding(config.vocab, config.width)
        self.blocks = nn.ModuleList(PlainBlock(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width, bias=False)
        self.head = nn.Linear(config.width, config.vocab, bias=False)
        half = config.head_width // 2
        self.register_buffer("cos", ours.cos[:, 0])
        self.register_buffer("sin", torch.cat((ours.sin[:, 0, half:],) * 2, dim=1))
        with torch.no_grad():
            self.embedding.weight.copy_(ours.embedding)
            self.head.weight.copy_(ours.head)
            for mine, block in zip(self.blocks, ours.blocks, strict=True):
                gate, up = block.ffn.gate_up.chunk(2)
                mine.qkv.weight.copy_(block.attention.qkv)
                mine.out.weight.copy_(block.attention.out)
                mine.gate.weight.copy_(gate)
                mine.up.weight.copy_(up)
                mine.down.weight.copy_(block.ffn.down)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.head(self.norm(x))


class Batches:
    def __init__(self, vocab: int, context: int, sequences: int) -> None:
        rng = np.random.default_rng(0)
        self.batches = rng.integers(vocab, size=(16, sequences, context + 1))

    def batch(self, step: int, batch_sequences: int) -> np.ndarray:
        return self.batches[step % 16, :batch_sequences]


def decoder(config: ModelConfig) -> Decoder:
    model = Decoder(config)
    initialise(model, 0)
    return model


def our_step(config: ModelConfig, recipe: Recipe, source: Batches) -> Step:
    prepare_process(torch.get_num_threads())
    training = Training(decoder(config), recipe, STEPS, source)

    def step() -> float:
        training.step()
        return float(training.curve[training.done - 1, 0])

    return step


def plain_step(config: ModelConfig, recipe: Recipe, source: Batches) -> Step:
    model = Plain(decoder(config))
    decay = recipe.weight_decay / recipe.lr
    betas = (recipe.beta1, recipe.beta2)
    optimizer = torch.optim.AdamW(
        model.parameters(), recipe.lr, betas, weight_decay=decay, fused=True
    )
    done = 0

    def step() -> float:
        nonlocal done
        batch = torch.from_numpy(source.batch(done, recipe.batch_sequences))
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
            logits = model(batch[:, :-1]).flatten(0, 1)
            loss = F.cross_entropy(logits, batch[:, 1:].flatten())
            objective = loss + recipe.z_loss * logits.logsumexp(-1).square().mean()
        objective.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.grad_clip)
        optimizer.param_groups[0]["lr"] = recipe.lr * min(1, (done + 1) / 100)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        done += 1
        return float(loss.detach())

    return step


def open_lm_step(config: ModelConfig, recipe: Recipe, source: Batches) -> Step:
    from open_lm_step import OpenLMTraining

    training = OpenLMTraining(decoder(config), recipe, STEPS, source)
    return lambda: float(training.step())


TRAINERS = {"ours": our_step, "plain": plain_step, "open_lm": open_lm_step}


def work(args: argparse.Namespace) -> None:
    """Take steps as asked: a line with a number in, a line with seconds and the last loss out."""
    torch.set_num_threads(args.threads)
    config = ModelConfig(**SIZES[args.sizes[0]], context=args.context)
    recipe = dataclasses.replace(RECIPE, batch_sequences=args.sequences, precision=args.precision)
    source = Batches(config.vocab, args.context, args.sequences)
    step = TRAINERS[args.worker](config, recipe, source)
    clock = time.process_time if args.threads == 1 else time.perf_counter
    for line in sys.stdin:
        loss, start = 0.0, clock()
        for _ in range(int(line)):
            loss = step()
        print(json.dumps([clock() - start, loss]), flush=True)


class Worker:
    """A trainer in a process of its own."""

    def __init__(self, trainer: str, size: str, args: argparse.Namespace) -> None:
        python = args.open_lm_python if trainer == "open_lm" else sys.executable
        names = ("threads", "sequences", "context", "precision")
        options = [f"--{name}={getattr(args, name)}" for name in names]
        self._process = subprocess.Popen(
            [python, __file__, f"--worker={trainer}", f"--sizes={size}", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.times: list[float] = []

    def run(self, steps: int) -> tuple[float, float]:
        """Take steps; return the seconds of one and the last loss."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a trainer ended; its error is above")
        seconds, loss = json.loads(line)
        return seconds / steps, loss

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def matmul_rate() -> float:
    """Return the best rate of a large fp32 matrix product, in FLOP/s."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    best = float("inf")
    for _ in range(10):
        start = clock()
        a @ b
        best = min(best, clock() - start)
    return 2 * 1024**3 / best


def measure(size: str, args: argparse.Namespace, peak: float) -> None:
    config = ModelConfig(**SIZES[size], context=args.context)
    names = [name for name in TRAINERS if name != "open_lm" or args.open_lm_python]
    workers = {name: Worker(name, size, args) for name in names}
    first = {name: worker.run(1)[1] for name, worker in workers.items()}
    # open_lm tells its objective, z-loss included: 0.005 to 0.02 at the start.
    if max(first.values()) - min(first.values()) > 0.03:
        raise SystemExit(f"{size}: the trainers do not start from one loss: {first}")
    turn = {name: max(1, int(TURN_SECONDS / worker.run(4)[0])) for name, worker in workers.items()}
    began = time.perf_counter()
    while time.perf_counter() - began < args.seconds:
        for name, worker in workers.items():
            worker.times.append(worker.run(turn[name])[0])
    seconds = {name: statistics.median(worker.times) for name, worker in workers.items()}
    for worker in workers.values():
        worker.close()
    tokens = args.sequences * args.context
    share = arithmetic.flops_exact(config, tokens) / seconds["ours"] / peak
    rates = "".join(f"{tokens / seconds[name]:>12,.0f}" for name in names)
    ratios = "".join(f"{seconds[name] / seconds['ours']:>10.2f}" for name in names[1:])
    print(
        f"{size:>6}{arithmetic.count_params(config).total:>12,}{rates}{ratios}{share:>9.0%}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30, help="time for each size")
    parser.add_argument("--sequences", type=int, default=8, help="sequences in a step")
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--sizes", nargs="+", default=["0.1M", "1M", "10M"], choices=SIZES)
    parser.add_argument("--open-lm-python", type=Path, help="Python that has open_lm installed")
    parser.add_argument("--worker", choices=TRAINERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args)
        return
    torch.set_num_threads(args.threads)
    peak = matmul_rate()
    names = [name for name in TRAINERS if name != "open_lm" or args.open_lm_python]
    print(f"threads {args.threads}, large fp32 products {peak / 1e9:.0f} GFLOP/s; tokens/s, ratios")
    columns = "".join(f"{name:>12}" for name in names)
    columns += "".join(f"{'/ ' + name:>10}" for name in names[1:])
    print(f"{'size':>6}{'N':>12}{columns}{'of peak':>9}")
    for size in args.sizes:
        measure(size, args, peak)


if __name__ == "__main__":
    main()
