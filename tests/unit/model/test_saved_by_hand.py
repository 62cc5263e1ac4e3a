import torch

from scalebed.model.saved import save_tensors


def test_weights_are_for_colleagues_to_read(tmp_path):
    path = tmp_path / "model.safetensors"
    save_tensors(path, {"w": torch.zeros(2)})
    assert path.stat().st_mode & 0o777 == 0o644
