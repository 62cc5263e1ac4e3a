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

_CHUNK_ELEMENTS = {"cpu": 1 << 18, "cuda": 1 << 26}
"""Logits held at a time: 1 MiB on a CPU, where they then stay in cache, 256 MiB on a GPU."""


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
    logits = torch.mm(hidden, weight.t()).float()
    picked = logits.gather(1, targets)
    probabilities = torch.softmax(logits, dim=1)
    # lse = l_max - log p_max: two cheap reductions where logsumexp would exponentiate again,
    # and safe, since the largest of V probabilities is at least 1/V.
    top = logits.amax(1, keepdim=True) - probabilities.amax(1, keepdim=True).log()
    return probabilities, top, picked


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, z_weight: float, total: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        needed = any(ctx.needs_input_grad)
        rows = hidden.shape[0]
        chunk = max(1, min(rows, _CHUNK_ELEMENTS[hidden.device.type] // weight.shape[0]))
        cross_entropy = hidden.new_zeros((), dtype=torch.float32)
        z = torch.zeros_like(cross_entropy)
        grad_hidden = torch.empty_like(hidden) if needed else None
        grad_weight = None
        for start in range(0, rows, chunk):
            part = hidden[start : start + chunk]
            target = targets[start : start + chunk, None]
            probabilities, lse, picked = _rows(part, weight, target)
            cross_entropy += (lse - picked).sum()
            z += lse.square().sum()
            if grad_hidden is None:
                continue
            probabilities *= (lse * (2 * z_weight) + 1) / total
            minus = torch.full_like(picked, -1 / total)
            grad_logits = probabilities.scatter_add_(1, target, minus).to(hidden.dtype)
            torch.mm(grad_logits, weight, out=grad_hidden[start : start + chunk])
            if grad_weight is None:
                grad_weight = torch.mm(grad_logits.t(), part)
            else:
                grad_weight.addmm_(grad_logits.t(), part)
        if needed:
            ctx.save_for_backward(grad_hidden, grad_weight)
        cross_entropy /= total
        z /= total
        ctx.mark_non_differentiable(cross_entropy, z)
        return torch.add(cross_entropy, z, alpha=z_weight), cross_entropy, z

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
