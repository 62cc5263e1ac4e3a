"""Training throughput of scalebed against a plain step of the same model.

    python benchmarks/train.py [--threads 1] [--seconds 20] [--sequences 8]

The plain step is written the way small trainers usually are: one module per layer, one linear
layer per projection of the SwiGLU, `F.cross_entropy` plus a z-loss, `clip_grad_norm_`, fused AdamW
over the list of parameters. Steps of both alternate in one process, so that whatever else the
machine does hits both alike; medians and the ratio of their medians are printed. On one thread CPU
time is measured, which a busy machine blurs less. The plain step profits here from the settings of
`prepare_process` (memory kept, denormals flushed), which apply to the whole process. The plain
model is loaded with the same weights and its loss is checked against ours first.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from scalebed import recipes
from scalebed.model import Decoder, ModelConfig, initialise
from scalebed.train.loop import Training
from scalebed.train.runtime import prepare_process
from scalebed.train.settings import Recipe

SIZES = {
    "0.02M": {"width": 16, "layers": 2, "heads": 2, "vocab": 512, "ffn_multiple": 16},
    "0.06M": {"width": 32, "layers": 2, "heads": 2, "vocab": 512, "ffn_multiple": 16},
    "0.1M": {"width": 32, "layers": 3, "heads": 2, "vocab": 1024, "ffn_multiple": 16},
    "1M": {"width": 128, "layers": 4, "heads": 4, "vocab": 1024, "ffn_multiple": 16},
    "10M": {"width": 384, "layers": 5, "heads": 6, "vocab": 1024, "ffn_multiple": 64},
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


class PlainTraining:
    def __init__(self, ours: Decoder, source: "Batches") -> None:
        self.model = Plain(ours)
        self.source = source
        self.done = 0
        decay = RECIPE.weight_decay / RECIPE.lr
        betas = (RECIPE.beta1, RECIPE.beta2)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), RECIPE.lr, betas, weight_decay=decay, fused=True
        )

    def step(self) -> Tensor:
        batch = torch.from_numpy(self.source.batch(self.done, RECIPE.batch_sequences))
        logits = self.model(batch[:, :-1]).flatten(0, 1)
        loss = F.cross_entropy(logits, batch[:, 1:].flatten())
        objective = loss + RECIPE.z_loss * logits.logsumexp(-1).square().mean()
        objective.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), RECIPE.grad_clip)
        self.optimizer.param_groups[0]["lr"] = RECIPE.lr * min(1, (self.done + 1) / 100)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1
        return loss.detach()


class Batches:
    def __init__(self, vocab: int, context: int, sequences: int) -> None:
        rng = np.random.default_rng(0)
        self.batches = rng.integers(vocab, size=(16, sequences, context + 1))

    def batch(self, step: int, batch_sequences: int) -> np.ndarray:
        return self.batches[step % 16, :batch_sequences]


def matmul_rate() -> float:
    """Return the best rate of a large fp32 matrix product, in FLOP/s."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    best = min(timed(lambda: a @ b) for _ in range(10))
    return 2 * 1024**3 / best


def timed(work) -> float:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    work()
    return clock() - start


def measure(name: str, seconds: float, sequences: int, context: int, peak: float) -> None:
    config = ModelConfig(**SIZES[name], context=context)
    model = Decoder(config)
    initialise(model, 0)
    source = Batches(config.vocab, context, sequences)
    plain = PlainTraining(model, source)
    ours = Training(model, RECIPE, STEPS, source)
    for _ in range(5):
        reference = plain.step()
        ours.step()
    torch.testing.assert_close(ours.curve[4, 0], reference, rtol=1e-4, atol=0)
    times: tuple[list[float], list[float]] = ([], [])
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        times[0].append(timed(ours.step))
        times[1].append(timed(plain.step))
    fast, slow = (statistics.median(part) for part in times)
    tokens = sequences * context
    share = recipes.flops_exact(config.shape, tokens) / fast / peak
    print(
        f"{name:>6} {recipes.count_params(config.shape).total:>10,} {tokens / fast:>12,.0f} "
        f"{tokens / slow:>12,.0f} {slow / fast:>7.2f} {share:>7.0%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20, help="time for each size")
    parser.add_argument("--sequences", type=int, default=8, help="sequences in a step")
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES)[:-1], choices=SIZES)
    args = parser.parse_args()
    prepare_process(args.threads)
    peak = matmul_rate()
    print(f"threads {args.threads}, large fp32 products {peak / 1e9:.0f} GFLOP/s")
    print("  size params (N)  ours, tok/s plain, tok/s   ratio of peak")
    for name in args.sizes:
        measure(name, args.seconds, args.sequences, args.context, peak)


if __name__ == "__main__":
    main()
