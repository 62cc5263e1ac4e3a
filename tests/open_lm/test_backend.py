from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from real import cell_params, needs_open_lm, train
from training_cells import make_dataset

pytestmark = [pytest.mark.open_lm, needs_open_lm]


def curve(folder: Path) -> dict[str, np.ndarray]:
    table = pyarrow.parquet.read_table(folder / "curve.parquet")
    return {name: table[name].to_numpy() for name in table.column_names}


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    """The same 200 steps trained by both backends."""
    root = tmp_path_factory.mktemp("pair")
    dataset = make_dataset(root, 120_000)
    for backend in ("torch", "open_lm"):
        record = train(root, cell_params(steps=200, backend=backend), dataset, backend)
        assert record["status"] == "done", record["reason"]
    return root


def test_200_steps_on_the_same_batches_give_the_same_losses(pair):
    ours, theirs = curve(pair / "torch"), curve(pair / "open_lm")
    difference = np.abs(ours["loss"] + ours["z_loss"] - theirs["loss"])
    print(f"largest difference of the objective in 200 steps: {difference.max():.2e} nats")
    assert len(difference) == 200
    assert difference.max() < 1e-3
    assert ours["loss"][-1] < ours["loss"][0] - 0.5  # they did learn something
