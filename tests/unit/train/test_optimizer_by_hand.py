"""The clipped gradient against values worked out by hand; AdamW itself hardly feels its length."""

import dataclasses

import pytest
import torch
from training_cells import RECIPE

from scalebed.train.optimizer import FlatAdamW
from scalebed.train.params import Recipe


@pytest.mark.parametrize(
    ("clip", "left"),
    [(10.0, [3.0, 4.0]), (5.0, [3.0, 4.0]), (1.0, [0.6, 0.8])],
)
def test_only_a_gradient_longer_than_the_limit_is_shortened(clip, left):
    model = torch.nn.Linear(2, 1, bias=False)
    recipe = dataclasses.replace(Recipe.from_record(RECIPE), grad_clip=clip)
    optimizer = FlatAdamW(model, recipe)
    optimizer.gradient[:2] = torch.tensor([3.0, 4.0])
    assert optimizer.step(1e-3).item() == pytest.approx(5.0)
    assert optimizer.gradient[:2].tolist() == pytest.approx(left, rel=1e-5)
