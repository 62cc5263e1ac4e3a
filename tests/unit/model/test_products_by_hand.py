"""Which processors multiply in bf16, and what the head takes."""

import math

import pytest
import torch

from scalebed.model import loss, products


@pytest.mark.parametrize(
    ("avx", "amx", "found"),
    [(True, False, True), (False, True, True), (True, True, True), (False, False, False)],
)
def test_one_kind_of_unit_is_enough(monkeypatch, avx, amx, found):
    monkeypatch.setattr(products.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert products.multiplies_bf16.__wrapped__() == found


@pytest.mark.parametrize("given", [(False, False), (True, False), (True, True)])
def test_no_gradient_is_taken_where_nothing_takes_all_of_it(given):
    """Equal logits of four tokens: a loss of ln 4, gradients of 1/4 each and -3/4 of the target."""
    hidden, weight = torch.tensor([[1.0, -1.0, 0.0], [2.0, 0.0, -2.0]]), torch.ones(4, 3)
    one = torch.full((2, 3), 7.0) if given[0] else None
    other = torch.full((4, 3), 7.0) if given[1] else None
    parts = loss.head_gradient(hidden, weight, torch.tensor([0, 3]), 0.0, 2, one, other)
    assert float(parts.cross_entropy) == pytest.approx(math.log(4))
    assert float(parts.z) == pytest.approx(math.log(4) ** 2)
    if other is not None:
        # Rows of the weights are alike, so that 1/4 thrice and -3/4 leave nothing.
        assert one.abs().max() < 1e-6
        logits = torch.tensor([[-0.75, 0.25, 0.25, 0.25], [0.25, 0.25, 0.25, -0.75]]) / 2
        torch.testing.assert_close(other, logits.t() @ hidden)
    elif one is not None:
        assert torch.equal(one, torch.full((2, 3), 7.0))
