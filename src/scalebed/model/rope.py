"""Rotary position embedding (Su et al. 2021, arXiv 2104.09864), halves of a head as pairs.

Position p turns the pair (x[i], x[i + w/2]) of a head of width w by the angle
p · base^(-2i/w), for i = 0 … w/2 - 1. Same layout as open_lm, so weights carry over.
"""

from typing import Any

import torch
from torch import Tensor


def rope_tables(
    context: int, head_width: int, base: float, device: torch.device | str | None = None
) -> tuple[Tensor, Tensor]:
    """Return cosines and signed sines, each of shape (context, 1, head_width).

    The sines of the first half carry a minus sign, so that turning is
    ``x * cos + swap_halves(x) * sin``.
    """
    frequency = base ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
    angle = torch.arange(context, dtype=torch.float64)[:, None] * frequency  # (context, w/2)
    cos = torch.cat((angle.cos(), angle.cos()), dim=1)
    sin = torch.cat((-angle.sin(), angle.sin()), dim=1)
    return (
        cos.to(device=device, dtype=torch.float32)[:, None, :],
        sin.to(device=device, dtype=torch.float32)[:, None, :],
    )


def _swap_halves(x: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    swapped = torch.empty_like(x)
    swapped[..., :half] = x[..., half:]
    swapped[..., half:] = x[..., :half]
    return swapped


class _Rotate(torch.autograd.Function):
    """Turning by an angle; its gradient is turning back, so nothing needs to be kept of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return torch.addcmul(x * cos, _swap_halves(x), sin)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        (grad,) = grads
        return torch.addcmul(grad * cos, _swap_halves(grad), sin, value=-1), None, None


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return x of shape (batch, sequence, heads, head width), turned by position, in fp32.

    Parameters
    ----------
    x
        Queries or keys.
    cos, sin
        The first ``sequence`` rows of `rope_tables`.
    """
    turned: Tensor = _Rotate.apply(x.float(), cos, sin)
    return turned
