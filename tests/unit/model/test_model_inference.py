"""The forward pass of evaluation against the decoder that defines the model."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from scalebed.model import Decoder, ModelConfig, initialise
from scalebed.model.inference import Inference

VOCAB = 90


def decoder(context: int, qk_norm: bool = True) -> Decoder:
    config = ModelConfig(
        width=24, layers=3, heads=2, vocab=VOCAB, context=context, ffn_multiple=16, qk_norm=qk_norm
    )
    model = Decoder(config)
    initialise(model, 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # gains and scores far enough from their start to tell mistakes
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.uniform_(0.5, 2, generator=generator)
            else:
                # Without qk-norm, scores grow with the square and rounding with them.
                parameter.mul_(3 if qk_norm else 1.5)
    return model.eval().requires_grad_(False)


def tokens(rows: int, length: int) -> torch.Tensor:
    return torch.randint(VOCAB, (rows, length), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("qk_norm", [True, False])
@pytest.mark.parametrize("length", [1, 30, 200])  # short rows, and those of the fused kernel
def test_hidden_states_and_losses_are_those_of_the_decoder(length: int, qk_norm: bool) -> None:
    model = decoder(256, qk_norm)
    batch = tokens(5, length + 1)
    inference = Inference(model)
    hidden = inference.hidden(batch[:, :-1])
    torch.testing.assert_close(hidden, model.hidden(batch[:, :-1]), atol=2e-4, rtol=1e-5)
    losses, greedy = inference.token_losses(hidden, batch[:, 1:].reshape(-1))
    logits = model(batch[:, :-1]).double().flatten(0, 1)
    expected = cross_entropy(logits, batch[:, 1:].reshape(-1), reduction="none")
    torch.testing.assert_close(losses.double(), expected, atol=5e-4, rtol=1e-5)
    assert torch.equal(greedy, logits.argmax(1) == batch[:, 1:].reshape(-1))


def test_only_the_positions_asked_for_are_computed() -> None:
    model = decoder(64)
    batch = tokens(4, 20)
    asked = torch.tensor([3, 17, 41, 79])
    found = Inference(model).hidden(batch, asked)
    torch.testing.assert_close(found, model.hidden(batch)[asked], atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize("qk_norm", [True, False])
def test_continuations_on_beginnings_are_those_of_whole_rows(qk_norm: bool) -> None:
    model = decoder(48, qk_norm)
    inference = Inference(model)
    lengths = torch.tensor([40, 33, 1])  # beginnings padded to the longest, two rows on each
    beginnings, rows = tokens(3, 40), tokens(6, 8).flip(0)
    found = inference.hidden(rows, None, (inference.cache(beginnings), lengths)).view(6, 8, -1)
    for i, row in enumerate(rows):
        length = int(lengths[i // 2])
        whole = torch.cat((beginnings[i // 2, :length], row))[None]
        expected = model.hidden(whole)[length:]
        torch.testing.assert_close(found[i], expected, atol=2e-4, rtol=1e-5)


def test_padding_may_end_behind_the_last_position() -> None:
    """On 46 of 48 positions two tokens are left of a row of six; on three, all six."""
    model = decoder(48)
    inference = Inference(model)
    lengths = torch.tensor([46, 3])
    beginnings, rows = tokens(2, 46), tokens(2, 6).flip(0)
    found = inference.hidden(rows, None, (inference.cache(beginnings), lengths)).view(2, 6, -1)
    for i, (length, real) in enumerate(((46, 2), (3, 6))):
        whole = torch.cat((beginnings[i, :length], rows[i, :real]))[None]
        expected = model.hidden(whole)[length:]
        torch.testing.assert_close(found[i, :real], expected, atol=2e-4, rtol=1e-5)
