"""Matrix products of activations and weights, by the kernels that the processor has.

A processor without products in bf16 has them emulated by torch, at ten to twenty times the time of
products in fp32. There what bf16 holds is multiplied in fp32, and what comes out is rounded: the
same numbers but for the order of sums.
"""

import functools
import platform

import torch
from torch import Tensor


@functools.cache
def multiplies_bf16() -> bool:
    """Tell whether this processor has products in bf16 (AVX-512 BF16, AMX, or bf16 on Arm)."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _emulated(a: Tensor) -> bool:
    return a.dtype == torch.bfloat16 and a.device.type == "cpu" and not multiplies_bf16()


def mm(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """Return a b, written to `out` where there is one; both of one type."""
    if not _emulated(a):
        return torch.mm(a, b) if out is None else torch.mm(a, b, out=out)
    product = torch.mm(a.float(), b.float())
    return product.to(a.dtype) if out is None else out.copy_(product)


def add_mm(into: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Add a b to `into`, of the same type, and return it."""
    if not _emulated(a):
        return into.addmm_(a, b)
    return into.copy_(torch.addmm(into.float(), a.float(), b.float()))
