"""Depth-scaled initialisation of the paper's stack.

Every matrix is drawn from a normal of standard deviation 1/√fan_in cut at three standard
deviations; the two matrices that write into the residual stream of block i = 0, 1, … have theirs
divided by √(2(i + 1)) (Zhang et al. 2019, arXiv 1908.11365). Embedding and head use 1/√d; gains
start at one. As in open_lm.
"""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from scalebed.model.decoder import Decoder

_CUT = 3.0


def initialise(model: Decoder, seed: int) -> None:
    """Fill the parameters of a decoder in place.

    The numbers are drawn on the CPU, in one stream and in the order of the parameters, so that
    they do not depend on the device.
    """
    parameters = dict(model.named_parameters())
    shapes = ((name, parameter.shape) for name, parameter in parameters.items())
    with torch.no_grad():
        for name, values in initial_values(shapes, seed):
            parameters[name].copy_(values)


def initial_values(
    shapes: Iterable[tuple[str, tuple[int, ...]]], seed: int
) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters of a decoder one by one, as whole tensors on the CPU.

    Parameters
    ----------
    shapes
        Name and shape of every parameter, in the order of the decoder.
    seed
        Seed of the one stream they are drawn from.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, shape in shapes:
        if len(shape) == 1:
            yield name, torch.ones(shape)
            continue
        std = init_std(name, tuple(shape))
        values = torch.empty(shape)
        torch.nn.init.trunc_normal_(
            values, std=std, a=-_CUT * std, b=_CUT * std, generator=generator
        )
        yield name, values


def init_std(name: str, shape: tuple[int, ...]) -> float:
    """Return the standard deviation, before cutting, of a named matrix of shape (out, in)."""
    # An embedding is a look-up: its fan-in is 1, but it is scaled like the head it mirrors.
    std = 1.0 / math.sqrt(shape[1])
    if name.startswith("blocks.") and name.endswith((".attention.out", ".ffn.down")):
        std /= math.sqrt(2 * (int(name.split(".")[1]) + 1))
    return std
