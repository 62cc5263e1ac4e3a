"""Training on several ranks that each hold the whole model: DistributedDataParallel.

Each rank takes its share of the batch. `FlatAdamW` works on every rank on the same averaged
gradient, so the weights stay equal without being sent.
"""

import contextlib
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from scalebed.model import Decoder, Loss
from scalebed.train.distributed.ranks import Ranks
from scalebed.train.loop import Source, Training
from scalebed.train.params import Recipe


class LossModule(nn.Module):
    """A decoder whose forward pass is its loss, since wrappers synchronise around ``forward``."""

    def __init__(self, model: Decoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, targets: Tensor, z_weight: float, total: int) -> Loss:
        """Return `scalebed.model.Decoder.loss`."""
        return self.model.loss(tokens, targets, z_weight, total)


class Replicated(Training):
    """A training whose batch is shared out to ranks; see `Training`."""

    def __init__(
        self, model: Decoder, recipe: Recipe, steps: int, source: Source, ranks: Ranks
    ) -> None:
        super().__init__(model, recipe, steps, source, ranks=ranks, by_hand=False)
        # The gradients are windows of the optimiser's flat array and have to stay that, so the
        # buckets are copies of them.
        self._ddp = DistributedDataParallel(
            LossModule(model),
            device_ids=[self.device] if self.device.type == "cuda" else None,
            forward_sync_buffers=False,
            gradient_as_bucket_view=False,
        )
        self._loss = self._ddp

    def _part(self, last: bool) -> contextlib.AbstractContextManager[Any]:
        """Average the gradients over the ranks once a step, in the last backward pass."""
        return contextlib.nullcontext() if last else self._ddp.no_sync()

    def close(self) -> None:
        """Let go of the reducer while the group of ranks is there.

        As the last to own the group, it would destroy it holding Python's lock, and wait for a
        thread of the group, which may wait for that lock.
        """
        del self._ddp, self._loss
