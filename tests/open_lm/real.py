"""Whether the real open_lm is installed, and cells for it."""

from pathlib import Path
from typing import Any

import pytest
from training_cells import make_params

from scalebed.core.backends import installed
from scalebed.core.files import read_json
from scalebed.train.cell import train_cell
from scalebed.train.job import Options

needs_open_lm = pytest.mark.skipif(
    not installed("open_lm"),
    reason="open_lm is not installed (requirements/open_lm.sh installs it)",
)


def cell_params(**changes: Any) -> dict[str, Any]:
    """Return a cell that open_lm can train: its feed-forward layers are 256 wide."""
    return make_params(**{"ffn_multiple": 256, "batch_sequences": 8} | changes)


def train(root: Path, params: dict[str, Any], dataset: Path, name: str) -> dict[str, Any]:
    """Train a cell in this process and return its record."""
    out = root / name / "metrics.json"
    train_cell(params, dataset, out, Options(state=root / "state", threads=1, device="cpu"))
    record: dict[str, Any] = read_json(out)
    return record
