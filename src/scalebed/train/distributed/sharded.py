"""Training on several ranks that share weights, gradients and moments out: FSDP2.

Each block is a group whose weights are gathered just before it is computed and let go of after;
embedding, head and the last norm are another, gathered for the whole pass. In bf16 the matrices of
the blocks are gathered in bf16, which rounds them as autocast would; everything that autocast
computes in fp32 (gains, the residual stream, embedding, the sums of gradients over ranks) stays so.

Gradients are shared out after every part of a batch, not once a step: to hold them back, each rank
would have to keep the whole gradient in fp32, and that it does not fit is why they are sharded.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor

from scalebed.model import Decoder, ModelConfig
from scalebed.model.decoder import Norm
from scalebed.model.initialise import initial_values
from scalebed.model.rope import rope_tables
from scalebed.train.checkpoint import Saved, StateFolder, local_rows
from scalebed.train.distributed.blocks import prepare_blocks
from scalebed.train.distributed.ranks import Ranks
from scalebed.train.loop import Training
from scalebed.train.params import Recipe

_CLIP_EPS = 1e-6
_MOMENTS = ("exp_avg", "exp_avg_sq")


def sharded_decoder(
    config: ModelConfig,
    seed: int,
    recipe: Recipe,
    ranks: Ranks,
    device: torch.device,
    compiled: bool,
    recompute: bool,
) -> Decoder:
    """Return an initialised decoder of which this rank holds a part.

    No rank ever holds more than its part and one whole parameter.
    """
    with torch.device("meta"):
        model = Decoder(config)
    prepare_blocks(model, compiled, recompute)
    mesh = init_device_mesh(device.type, (ranks.size,))
    bf16 = recipe.precision == "bf16"
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if bf16 else None,
        reduce_dtype=torch.float32,
        cast_forward_inputs=False,
    )
    for block in model.blocks:
        if bf16:
            # Gains are few: they stay gathered, in fp32.
            gains: list[nn.Module] = [part for part in block.modules() if isinstance(part, Norm)]
            fully_shard(gains, mesh=mesh, reshard_after_forward=False)
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh)
    register_fsdp_forward_method(model, "loss")
    model.to_empty(device=device)
    model.cos, model.sin = rope_tables(config.context, config.head_width, config.rope_base, device)
    parameters = dict(model.named_parameters())
    shapes = ((name, parameter.shape) for name, parameter in parameters.items())
    with torch.no_grad():
        for name, values in initial_values(shapes, seed):
            rows, here = local_rows(parameters[name])
            here.copy_(values[rows])
    return model


class ShardedAdamW:
    """AdamW on the shards of a model; the same arithmetic as `FlatAdamW`.

    Parameters
    ----------
    model
        A model whose parameters are shards.
    recipe
        Peak learning rate, decay, betas, eps and clipping.
    """

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        self._parameters = dict(model.named_parameters())
        self._clip = recipe.grad_clip
        self._adamw = torch.optim.AdamW(
            self._parameters.values(),
            lr=recipe.lr,
            betas=(recipe.beta1, recipe.beta2),
            eps=recipe.eps,
            weight_decay=recipe.weight_decay / recipe.lr,
            fused=True,
        )
        for parameter in self._parameters.values():
            self._adamw.state[parameter] = {
                "step": torch.zeros((), device=parameter.device),
                **{name: torch.zeros_like(parameter) for name in _MOMENTS},
            }
        # One number for all parameters, as a checkpoint has it.
        self._step = torch.zeros((), device=next(iter(self._parameters.values())).device)

    def step(self, lr: float) -> Tensor:
        """Clip the gradient and update the weights; see `FlatAdamW.step`."""
        gradients = [_local(parameter.grad) for parameter in self._parameters.values()]
        total = torch.nn.utils.get_total_norm(gradients).square()
        dist.all_reduce(total)
        norm = total.sqrt()
        torch._foreach_mul_(gradients, (self._clip / (norm + _CLIP_EPS)).clamp_(max=1.0))
        self._adamw.param_groups[0]["lr"] = lr
        self._adamw.step()
        self._step += 1
        return norm

    def zero(self) -> None:
        """Drop the gradient."""
        self._adamw.zero_grad()

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint holds, by reference."""
        named = {"step": self._step}
        for name, parameter in self._parameters.items():
            named[f"weights/{name}"] = parameter.detach()
            for moment in _MOMENTS:
                named[f"{moment}/{name}"] = self._adamw.state[parameter][moment]
        return named

    def loaded(self) -> None:
        """Take notice that the tensors of `state` were overwritten."""
        for parameter in self._parameters.values():
            self._adamw.state[parameter]["step"].copy_(self._step)


def _local(gradient: Tensor | None) -> Tensor:
    assert isinstance(gradient, DTensor)
    return gradient.to_local()


class Sharded(Training):
    """A training whose model is shared out to ranks; see `Training`."""

    optimizer: ShardedAdamW

    def _make_optimizer(self) -> ShardedAdamW:
        return ShardedAdamW(self.model, self.recipe)

    def tensors(self) -> dict[str, Tensor]:
        """Return shards of weights and moments by name, by reference."""
        return self.optimizer.state()

    def weights(self) -> dict[str, Tensor] | None:
        """Return the whole weights on the CPU of the leading rank; None elsewhere."""
        whole = {}
        for name, parameter in self.model.named_parameters():
            shard = parameter.detach()
            assert isinstance(shard, DTensor)
            value = shard.full_tensor()
            if self.ranks.leads:
                whole[name] = value.cpu().clone()
        return whole if self.ranks.leads else None

    def save(self, state: StateFolder, facts: dict[str, Any]) -> None:
        """Write a checkpoint, each rank its part."""
        state.save_sharded(self.checkpoint(facts), self.ranks)

    def resume(self, saved: Saved) -> None:
        """Take over the state of a checkpoint."""
        super().resume(saved)
        self.optimizer.loaded()
