"""The written-out gradient against autograd's of the same decoder."""

import pytest
import torch

from scalebed.model import Decoder, ModelConfig, initialise, products
from scalebed.model.gradient import Gradient

SHAPE = {"width": 24, "layers": 3, "heads": 1, "vocab": 100, "context": 16, "ffn_multiple": 16}
Z = 1e-2


def make(**change) -> tuple[Decoder, torch.Tensor]:
    torch.manual_seed(0)
    config = ModelConfig(**SHAPE | change)
    model = Decoder(config)
    initialise(model, 1)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            # Gains of one would hide a gain that is forgotten or in the wrong order.
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
        parameter.grad = torch.zeros_like(parameter)
    return model, torch.randint(config.vocab, (4, config.context + 1))


def by_autograd(model: Decoder, batch: torch.Tensor) -> tuple[float, float, dict]:
    for parameter in model.parameters():
        parameter.grad.zero_()
    loss = model.loss(batch[:, :-1], batch[:, 1:], Z)
    loss.objective.backward()
    grads = {name: value.grad.clone() for name, value in model.named_parameters()}
    return float(loss.cross_entropy), float(loss.z), grads


def by_hand(model: Decoder, batch: torch.Tensor, parts: int, precision: str = "fp32"):
    total = batch.shape[0] * (batch.shape[1] - 1)
    gradient = Gradient(model, precision)
    for parameter in model.parameters():
        parameter.grad.fill_(7.0)  # what an earlier step left must not count
    losses = [
        gradient(part[:, :-1], part[:, 1:], Z, total, number == 0)
        for number, part in enumerate(batch.chunk(parts))
    ]
    grads = {name: value.grad.clone() for name, value in model.named_parameters()}
    ce, z = (float(sum(part[index] for part in losses)) for index in (0, 1))
    return ce, z, grads


def distance(found: dict, expected: dict) -> dict[str, float]:
    return {
        name: float((found[name] - value).norm() / value.norm()) for name, value in expected.items()
    }


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"qk_norm": False},
        {"width": 48, "heads": 4},
        {"vocab": 4000, "context": 96},
        {"layers": 1, "width": 8, "heads": 2},
    ],
)
def test_losses_and_gradients_are_those_of_autograd(change, parts):
    model, batch = make(**change)
    *losses, expected = by_autograd(model, batch)
    *found, grads = by_hand(model, batch, parts)
    assert found == pytest.approx(losses, rel=1e-6)
    worst = distance(grads, expected)
    assert max(worst.values()) < 1e-5, worst


@pytest.mark.parametrize("multiplied", [True, False])
def test_products_in_bf16_come_as_close_as_those_of_autocast(multiplied, monkeypatch):
    # Both ways run on every processor; where there are no products in bf16 they are emulated.
    monkeypatch.setattr(products, "multiplies_bf16", lambda: multiplied)
    model, batch = make(width=64, heads=2, context=64)
    exact = by_autograd(model, batch)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(batch[:, :-1], batch[:, 1:], Z)
    for parameter in model.parameters():
        parameter.grad.zero_()
    loss.objective.backward()
    autocast = {name: value.grad.clone() for name, value in model.named_parameters()}
    found = by_hand(model, batch, 2, "bf16")
    assert found[:2] == pytest.approx(exact[:2], rel=2e-3)
    ours, usual = distance(found[2], exact[2]), distance(autocast, exact[2])
    assert 0 < max(ours.values()) <= 1.2 * max(usual.values()), (ours, usual)


def test_shorter_sequences_than_the_context_are_allowed():
    model, batch = make(context=32)
    batch = batch[:, :9]
    *losses, expected = by_autograd(model, batch)
    *found, grads = by_hand(model, batch, 1)
    assert found == pytest.approx(losses, rel=1e-6)
    assert max(distance(grads, expected).values()) < 1e-5


def test_a_parameter_without_gradient_is_refused():
    model = Decoder(ModelConfig(**SHAPE))
    with pytest.raises(ValueError, match="grad"):
        Gradient(model)
