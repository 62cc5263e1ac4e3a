"""Memory of a training step, and how many ranks it takes.

Symbols: N parameters, d width, h feed-forward width, l layers, V vocabulary, n positions of one
forward pass on one rank, R ranks. All sums are in bytes; 1 GB is 1e9 bytes.

What a rank holds (`terms` names each part):

- weights, gradient and two moments of AdamW in fp32: 4 + 4 + 8 bytes a parameter, 1/R of it where
  they are sharded;
- replicated on several ranks, DistributedDataParallel's buckets, copies of the gradient: 4N;
- sharded, what is gathered: the block at work and the one fetched ahead, each with its gradient in
  the arithmetic of the forward pass and, when that is bf16, the gradient once more in fp32 to be
  summed over ranks; embedding and head with their gradients and the buffer to sum these, in fp32;
- replicated in bf16, autocast's copies of the weights, kept for the whole forward pass: 2N;
- activations kept for the backward pass, per position and layer. In fp32 10d + 4h values: the
  block's input, its norm, q, k and v before and q and k after norm and rotation, the attention's
  output, the residual after it, its norm, gate and up, silu(gate), and the product. In bf16 the
  inputs of products are half as wide, but the residual stream and, on GPUs, what the norms of q
  and k read stay fp32: 32d + 8h bytes;
- with recomputing, the fp32 input of each block only;
- the loss: hidden states and their gradient, the gradient of the head in the arithmetic of the
  forward pass;
- the larger of what is there at the end of the forward and at the beginning of the backward pass: a
  chunk of logits and its probabilities in fp32 (they are never kept, see `scalebed.model.loss`), or
  the transient gradients of one block, as much as its activations without the norms,
  4·(4d + 3h), and with recomputing the activations of that block.

Left out: the CUDA context, buffers of nccl and fragmentation; `SHARE` leaves room for them.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError

if TYPE_CHECKING:  # trainers need the sums, not half a second of importing pydantic
    from scalebed.study.hardware import Hardware

SHARE = 0.9
"""Share of a device's memory that a plan may fill."""

CHUNK = 1 << 26
"""Logits that the loss holds at a time on a GPU; see `scalebed.model.loss`."""

FEWEST_ROWS = 128
"""Positions of such a chunk, however large the vocabulary."""


class Layout(NamedTuple):
    """How a cell is spread over devices."""

    ranks: int
    """Processes, one a device."""
    sharded: bool
    """Whether weights, gradients and moments are shared out (FSDP2) instead of replicated."""
    recompute: bool
    """Whether blocks are computed again in the backward pass."""
    bytes_per_rank: float
    """Memory of a step on each device."""


def terms(
    shape: arithmetic.Shape,
    sequences: int,
    ranks: int,
    sharded: bool,
    recompute: bool,
    precision: str,
) -> dict[str, float]:
    """Return the parts of the memory of a step, in bytes of one rank; see `rank_bytes`."""
    d, layers, vocab = shape.width, shape.layers, shape.vocab
    h = arithmetic.ffn_width(d, shape.ffn_multiple)
    n = sequences * shape.context
    bf16 = precision == "bf16"
    value = 2 if bf16 else 4
    params = arithmetic.count_params(shape).total
    per_block = 4 * d * d + 3 * d * h
    shared = ranks if sharded else 1
    kept = n * (32 * d + 8 * h if bf16 else 40 * d + 16 * h)
    logits = 2 * 4 * vocab * min(n, max(FEWEST_ROWS, CHUNK // vocab))
    backward = n * 4 * (4 * d + 3 * h) + (kept if recompute else 0)
    gathered = copies = 0.0
    if sharded:
        block = per_block * (2 * 2 * value + (4 if bf16 else 0))
        gathered = block + 3 * 4 * 2 * vocab * d
    elif ranks > 1:
        copies = 4.0 * params
    return {
        "weights": 4.0 * params / shared,
        "gradient": 4.0 * params / shared,
        "moments": 8.0 * params / shared,
        "buckets": copies,
        "gathered": gathered,
        "autocast": 2.0 * params if bf16 and not sharded else 0.0,
        "activations": float(layers * (n * 4 * d if recompute else kept)),
        "loss": float(n * d * (4 + 2 * value) + vocab * d * 2 * value),
        "transient": float(max(logits, backward)),
    }


def rank_bytes(
    shape: arithmetic.Shape,
    sequences: int,
    ranks: int,
    sharded: bool,
    recompute: bool,
    precision: str,
) -> float:
    """Return the memory that one rank needs for a training step, in bytes.

    Parameters
    ----------
    shape
        The architecture.
    sequences
        Sequences in one forward pass on a rank.
    ranks
        Processes that train together.
    sharded, recompute
        See `Layout`.
    precision
        ``fp32`` or ``bf16``.
    """
    return sum(terms(shape, sequences, ranks, sharded, recompute, precision).values())


def choose_layout(
    shape: arithmetic.Shape,
    batch_sequences: int,
    micro_sequences: int | None,
    precision: str,
    ranks: int,
    memory: float,
    shard: bool | None = None,
    recompute: bool | None = None,
) -> Layout:
    """Return how a cell is trained on a number of ranks, whether it fits or not.

    The first of these that fits: replicated, sharded, replicated and recomputing, sharded and
    recomputing; the one that needs least if none does. Sending costs less than computing.

    Parameters
    ----------
    shape, precision
        As in `rank_bytes`.
    batch_sequences, micro_sequences
        Sequences of a step, and of one forward pass.
    ranks
        Processes.
    memory
        Bytes of each device.
    shard, recompute
        What is settled already; left open when None.
    """
    sequences = min(micro_sequences or batch_sequences, max(1, batch_sequences // ranks))
    choices = []
    for again in (False, True) if recompute is None else (recompute,):
        for sharded in (False, True) if shard is None else (shard,):
            # A single rank has nobody to share with.
            if sharded and ranks == 1:
                continue
            need = rank_bytes(shape, sequences, ranks, sharded, again, precision)
            choices.append(Layout(ranks, sharded, again, need))
    if not choices:
        raise ScalebedError("--shard needs more than one rank: give --ranks")
    fitting = [choice for choice in choices if choice.bytes_per_rank <= SHARE * memory]
    return fitting[0] if fitting else min(choices, key=lambda choice: choice.bytes_per_rank)


def layouts(model: dict[str, Any], recipe: dict[str, Any], hardware: "Hardware") -> list[Layout]:
    """Return the layouts that fit the GPUs of a site, the one with the fewest ranks first.

    Ranks are a power of two that divides the batch, on one node.

    Parameters
    ----------
    model, recipe
        Those sections of a cell's parameters.
    hardware
        The site; without a GPU it is one rank on a core.

    Raises
    ------
    ScalebedError
        If the cell fits no number of them.
    """
    shape = arithmetic.shape_of(model)
    batch, precision = recipe["batch_sequences"], recipe["precision"]
    known = shape, batch, recipe["micro_sequences"], precision
    gpu = hardware.gpu
    if gpu is None:
        return [choose_layout(*known, 1, float("inf"))]
    memory = gpu.memory_gb * 1e9
    ranks, most = 1, min(gpu.most, gpu.per_node)
    tried: list[Layout] = []
    while ranks <= most and batch % ranks == 0:
        tried.append(choose_layout(*known, ranks, memory))
        ranks *= 2
    if fitting := [choice for choice in tried if choice.bytes_per_rank <= SHARE * memory]:
        return fitting
    least = min(tried, key=lambda choice: choice.bytes_per_rank)
    raise ScalebedError(
        f"width {shape.width}, {shape.layers} layers need {least.bytes_per_rank / 1e9:.0f} GB on "
        f"each of {least.ranks} devices, but {gpu.name} has {gpu.memory_gb:g} GB, of which "
        f"{SHARE:.0%} may be filled; use larger or more GPUs, or smaller recipe.micro_sequences"
    )
