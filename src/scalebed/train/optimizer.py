"""AdamW with independent weight decay, over all parameters as one array.

Independent decay (Loshchilov & Hutter 2019, arXiv 1711.05101, as Wortsman et al. 2023, arXiv
2309.14322, put it): in step t a parameter loses the share λ·lr_t/lr of itself, where λ is the
recipe's ``weight_decay``, lr_t the scheduled and lr the peak learning rate. PyTorch's AdamW takes
away lr_t·wd, so wd = λ/lr gives just this: the paper's wd = 0.033 at lr = 3e-3 is λ = 1e-4.
All parameters decay, the gains of the norms too, because that is what open_lm does (its list of
parameters without decay is empty).

Small models spend a good part of a step on bookkeeping per parameter. Here parameters and
gradients are views of two flat arrays, so that zeroing, clipping and the update are one kernel
each, whatever the number of layers.
"""

import torch
from torch import Tensor, nn

from scalebed.train.params import Recipe

# Every parameter starts on a cache line, so that kernels take the same path in every process and
# sums come out bit-identical after a resume. The padding is zero and stays so.
_ALIGN = 16
_CLIP_EPS = 1e-6


class FlatAdamW:
    """AdamW on the parameters of a model, which become views of `weights`.

    Parameters
    ----------
    model
        The model; it must be on its device already.
    recipe
        Peak learning rate, decay, betas, eps and clipping.
    """

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        parameters = list(model.parameters())
        starts = [0]
        for parameter in parameters:
            starts.append(starts[-1] + -(-parameter.numel() // _ALIGN) * _ALIGN)
        device = parameters[0].device
        self.weights = torch.zeros(starts[-1], device=device)
        self.gradient = torch.zeros_like(self.weights)
        for parameter, start in zip(parameters, starts, strict=False):
            window = slice(start, start + parameter.numel())
            self.weights[window] = parameter.detach().flatten()
            parameter.data = self.weights[window].view(parameter.shape)
            parameter.grad = self.gradient[window].view(parameter.shape)
        self._clip = recipe.grad_clip
        self._betas = recipe.beta1, recipe.beta2
        self._eps = recipe.eps
        self._decay = recipe.weight_decay / recipe.lr
        self._state = {
            "step": torch.zeros((), device=device),
            "exp_avg": torch.zeros_like(self.weights),
            "exp_avg_sq": torch.zeros_like(self.weights),
        }

    def step(self, lr: float) -> Tensor:
        """Clip the gradient and update the weights; the gradient stays for who asks to `zero` it.

        Returns
        -------
        Tensor
            Scalar norm of the gradient before clipping.
        """
        norm = torch.linalg.vector_norm(self.gradient)
        share = (self._clip / (norm + _CLIP_EPS)).clamp_(max=1.0)
        # On a GPU looking at the norm would wait for it; multiplying by one costs less.
        if share.is_cuda or share != 1.0:
            self.gradient.mul_(share)
        state = self._state
        state["step"] += 1
        # The kernel behind torch.optim.AdamW(fused=True), whose class would import the compiler:
        # a second of every short cell.
        torch._fused_adamw_(
            [self.weights],
            [self.gradient],
            [state["exp_avg"]],
            [state["exp_avg_sq"]],
            [],
            [state["step"]],
            lr=lr,
            beta1=self._betas[0],
            beta2=self._betas[1],
            weight_decay=self._decay,
            eps=self._eps,
            amsgrad=False,
            maximize=False,
        )
        return norm

    def zero(self) -> None:
        """Set the gradient to zero, for what adds to it."""
        self.gradient.zero_()

    def state(self) -> dict[str, Tensor]:
        """Return everything a resume needs, weights included, by reference."""
        return {"weights": self.weights, **self._state}
