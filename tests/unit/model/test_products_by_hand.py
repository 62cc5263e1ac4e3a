"""Which processors multiply in bf16."""

import pytest
import torch

from scalebed.model import products


@pytest.mark.parametrize(
    ("avx", "amx", "found"),
    [(True, False, True), (False, True, True), (True, True, True), (False, False, False)],
)
def test_one_kind_of_unit_is_enough(monkeypatch, avx, amx, found):
    monkeypatch.setattr(products.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert products.multiplies_bf16.__wrapped__() == found
