"""The optional event files for TensorBoard."""

from pathlib import Path

import pytest
from training_cells import make_dataset, make_params, start_training


def test_event_files_are_written_on_request(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra scalebed[tensorboard]")
    dataset = make_dataset(tmp_path / "data")
    process = start_training(
        tmp_path, make_params(), dataset, "cell/metrics.json", "--tensorboard", "events"
    )
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert list((tmp_path / "events").rglob("events.out.tfevents.*"))
