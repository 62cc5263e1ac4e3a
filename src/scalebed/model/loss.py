"""Cross-entropy and z-loss of a linear head, without keeping the logits.

With logits l = W h of a position and target y, lse = log Σ exp l: the cross-entropy is
lse - l[y] and the z-loss lse² (de Brébisson & Vincent 2016, arXiv 1604.08859; PaLM, arXiv
2204.02311). Their sum ce + ζ·z has the gradient softmax(l)·(1 + 2ζ·lse) - onehot(y) in l, which is
at hand once the loss is: both products with it are taken in the forward pass, a few rows at a
time, and the logits are never stored nor exponentiated twice.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from scalebed.model.products import add_mm, mm

_CHUNK_ELEMENTS = {"cpu": 1 << 18, "cuda": 1 << 26}
"""Logits held at a time: 1 MiB on a CPU, where they then stay in cache, 256 MiB on a GPU."""

_FEWEST_ROWS = 128
"""Positions in a chunk, however large the vocabulary: each chunk reads and writes the gradient of
the whole head."""


class Loss(NamedTuple):
    """The loss of a batch, in nats, each part a scalar averaged over the batch's positions."""

    objective: Tensor
    """What is minimised, cross-entropy + ζ·z; the only part that carries a gradient."""
    cross_entropy: Tensor
    """Mean cross-entropy."""
    z: Tensor
    """Mean squared log-partition function, without its weight ζ."""


def _rows(hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return probabilities (n, V), log-partition (n, 1) and target logits (n, 1) of n rows."""
    logits = mm(hidden, weight.t()).float()
    picked = logits.gather(1, targets)
    probabilities = torch.softmax(logits, dim=1)
    # lse = l_max - log p_max: two cheap reductions where logsumexp would exponentiate again,
    # and safe, since the largest of V probabilities is at least 1/V.
    top = logits.amax(1, keepdim=True) - probabilities.amax(1, keepdim=True).log()
    return probabilities, top, picked


class Parts(NamedTuple):
    """Losses of a batch without what carries a gradient: scalars, averaged over positions."""

    cross_entropy: Tensor
    z: Tensor


def head_gradient(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    z_weight: float,
    total: int,
    grad_hidden: Tensor | None,
    grad_weight: Tensor | None,
    first: bool = True,
) -> Parts:
    """Return the losses of a linear head and write the gradient of ce + ζ·z.

    Parameters
    ----------
    hidden, weight, targets, z_weight, total
        See `head_loss`; `hidden` and `weight` of one type.
    grad_hidden
        Where the gradient in `hidden` goes; no gradient is taken when None.
    grad_weight
        Where that in `weight` goes.
    first
        Whether it replaces what `grad_weight` holds, instead of being added to it.
    """
    rows = hidden.shape[0]
    chunk = max(_FEWEST_ROWS, _CHUNK_ELEMENTS[hidden.device.type] // weight.shape[0])
    cross_entropy = hidden.new_zeros((), dtype=torch.float32)
    z = torch.zeros_like(cross_entropy)
    for start in range(0, rows, chunk):
        part = hidden[start : start + chunk]
        target = targets[start : start + chunk, None]
        probabilities, lse, picked = _rows(part, weight, target)
        cross_entropy += (lse - picked).sum()
        z += lse.square().sum()
        if grad_hidden is None or grad_weight is None:
            continue
        probabilities *= (lse * (2 * z_weight) + 1) / total
        minus = torch.full_like(picked, -1 / total)
        grad_logits = probabilities.scatter_add_(1, target, minus).to(hidden.dtype)
        mm(grad_logits, weight, out=grad_hidden[start : start + chunk])
        if first and start == 0:
            mm(grad_logits.t(), part, out=grad_weight)
        else:
            add_mm(grad_weight, grad_logits.t(), part)
    cross_entropy /= total
    z /= total
    return Parts(cross_entropy, z)


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, z_weight: float, total: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        grads: tuple[Tensor, Tensor] | tuple[None, None] = None, None
        if any(ctx.needs_input_grad):
            grads = torch.empty_like(hidden), torch.empty_like(weight)
            ctx.save_for_backward(*grads)
        parts = head_gradient(hidden, weight, targets, z_weight, total, *grads)
        ctx.mark_non_differentiable(*parts)
        return torch.add(parts.cross_entropy, parts.z, alpha=z_weight), *parts

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grads[0], grad_weight * grads[0], None, None, None


def head_loss(
    hidden: Tensor, weight: Tensor, targets: Tensor, z_weight: float, total: int | None = None
) -> Loss:
    """Return the loss of a linear head.

    Parameters
    ----------
    hidden
        Final hidden states, shape (positions, width); fp32 or bf16.
    weight
        The head, shape (vocabulary, width), cast to the type of `hidden`.
    targets
        Next tokens, int64 of shape (positions,).
    z_weight
        Weight ζ of the z-loss in the objective.
    total
        Positions the sums are divided by; those of the whole batch when this is a part of it, so
        that the losses of the parts add up. The positions given here when left out.
    """
    kind = hidden.device.type
    if torch.is_autocast_enabled(kind):
        hidden = hidden.to(torch.get_autocast_dtype(kind))
    weight = weight.to(hidden.dtype)
    with torch.autocast(kind, enabled=False):
        return Loss(*_HeadLoss.apply(hidden, weight, targets, z_weight, total or len(hidden)))
