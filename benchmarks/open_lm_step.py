"""A training step of open_lm, for `benchmarks/train.py`.

The model, its loss and its learning-rate schedule are open_lm's own; the step does what
``open_lm.train.train_one_epoch`` and ``open_lm.main`` do with them on one device without gradient
accumulation: zero_grad, forward, loss with z-loss, backward, ``clip_grad_norm_``, AdamW as they
build it, and the copy of the loss that is logged every step. Reading tars, logging and checkpoints
are left out: this is the step and nothing else.
"""

import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scalebed.model import Decoder
from scalebed.train.loop import Source
from scalebed.train.open_lm import convert
from scalebed.train.params import Recipe


class OpenLMTraining:
    """Steps of open_lm on the weights of a decoder, with the interface of `Training`.

    Raises ValueError for an architecture that open_lm cannot express, ImportError without it.
    """

    def __init__(self, ours: Decoder, recipe: Recipe, steps: int, source: Source) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from open_lm.data import sample_chunk
            from open_lm.losses import CrossEntropyLossWithZLoss
            from open_lm.model import create_model
            from open_lm.params import parse_args
            from open_lm.precision import get_autocast
            from open_lm.scheduler import cosine_lr
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            path.write_text(json.dumps(convert.model_json(ours.config)))
            self.args = parse_args(["--model", str(path), *convert.model_arguments(ours.config)])
            self.model = create_model(self.args)
        self.args.vocab_size, self.args.seq_len = ours.config.vocab, ours.config.context
        self.model.load_state_dict(convert.to_open_lm(ours.state_dict(), ours.config))
        self.loss = CrossEntropyLossWithZLoss(recipe.z_loss)
        self.autocast = get_autocast({"fp32": "fp32", "bf16": "amp_bfloat16"}[recipe.precision])
        self.sample_chunk = sample_chunk
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [], "weight_decay": 0.0},
                {
                    "params": list(self.model.parameters()),
                    "weight_decay": recipe.weight_decay / recipe.lr,
                },
            ],
            lr=recipe.lr,
            betas=(recipe.beta1, recipe.beta2),
            eps=recipe.eps,
        )
        end, least = recipe.lr_end, 0.0
        self.schedule = cosine_lr(
            *(self.optimizer, recipe.lr, recipe.warmup_steps, steps, end, least)
        )
        self.recipe, self.source, self.done = recipe, source, 0
        self.model.train()

    def step(self) -> Tensor:
        """Take a step and return its objective, cross-entropy and z-loss together."""
        self.schedule(self.done)
        rows = self.source.batch(self.done, self.recipe.batch_sequences)
        # open_lm makes the tensor of lists; ours come as an array, so that is not counted.
        texts = torch.from_numpy(np.ascontiguousarray(rows))
        self.optimizer.zero_grad()
        with self.autocast():
            inputs, targets = self.sample_chunk(texts, self.args)
            out, _, _ = self.model(inputs)
            total = self.loss(out.reshape(-1, self.args.vocab_size), targets.reshape(-1))
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.grad_clip)
        self.optimizer.step()
        self.done += 1
        return total.detach().clone()
