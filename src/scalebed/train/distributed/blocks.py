"""What is done to the blocks of a decoder before it is trained: compiling, recomputing.

Both replace the ``forward`` of a block, so names of parameters stay as they are and hooks, such as
those that gather a sharded block, run around the whole of it.
"""

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from scalebed.model import Decoder


def prepare_blocks(model: Decoder, compiled: bool, recompute: bool) -> None:
    """Change how the blocks of a decoder run; the numbers stay the same.

    Parameters
    ----------
    model
        The decoder.
    compiled
        Whether to compile the blocks; they are alike, so it is compiled once.
    recompute
        Whether to keep only the input of each block and to compute the block again in the backward
        pass (activation checkpointing): a third more arithmetic for a fraction of the memory.
    """
    for block in model.blocks:
        forward: Callable[..., Tensor] = block.forward
        if compiled:
            forward = torch.compile(forward)
        if recompute:
            # There is no dropout, hence no random state to restore.
            forward = functools.partial(
                checkpoint, forward, use_reentrant=False, preserve_rng_state=False
            )
        if compiled or recompute:
            block.forward = forward
