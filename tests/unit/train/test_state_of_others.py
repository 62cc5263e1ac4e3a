"""State that somebody else may have put there: nothing in it is run, and it has a private place."""

import dataclasses
import hashlib
import json
import os
import pickle
import stat
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint.metadata import BytesStorageMetadata

from scalebed.core.digests import digest_path
from scalebed.train.checkpoint import Checkpoint, Saved, open_state
from scalebed.train.distributed.ranks import Ranks
from scalebed.train.distributed.sharded_index import read_index


def save_sharded(state, step: int) -> None:
    tensors = {"x": torch.full((1000,), float(step)), "step": torch.tensor(float(step))}
    state.save_sharded(Checkpoint(step, tensors, {"seconds": step}), Ranks())


class Payload:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def put_index(folder: Path, content: bytes) -> None:
    """Give a sharded checkpoint another index, with the right sum."""
    (folder / ".metadata").write_bytes(content)
    sums = json.loads((folder / "sums.json").read_text())
    sums["sha256"][".metadata"] = hashlib.sha256(content).hexdigest()
    (folder / "sums.json").write_text(json.dumps(sums))
    digest_path(folder / "sums.json").unlink(missing_ok=True)


def test_an_index_that_runs_code_is_refused_and_not_run(tmp_path, caplog):
    ran = tmp_path / "ran"
    with open_state(tmp_path / "s") as state:
        save_sharded(state, 1)
        (folder,) = state.path.glob("*.sharded")
        put_index(folder, pickle.dumps(Payload(ran)))
        with pytest.raises(ValueError, match=r"its index holds a posix\.mkdir"):
            Saved(1, folder, {}).fill({"x": torch.zeros(1000)})
        assert state.newest() is None
    assert f"checkpoint {folder} is broken (its index holds a posix.mkdir)" in caplog.text
    assert not ran.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index.storage_data.update(out_of_folder(index)), "outside of its folder"),
        (
            lambda index: index.state_dict_metadata.update(x=BytesStorageMetadata()),
            "BytesStorageMetadata",
        ),
    ],
)
def test_an_index_that_leads_elsewhere_or_to_a_pickle_is_refused(tmp_path, change, message):
    with open_state(tmp_path / "s") as state:
        save_sharded(state, 1)
        (folder,) = state.path.glob("*.sharded")
        index = read_index(folder)
        change(index)
        put_index(folder, pickle.dumps(index))
        with pytest.raises(ValueError, match=message):
            read_index(folder)
        assert state.newest() is None


def out_of_folder(index):
    """Return entries of an index that lie beside its folder."""
    found = index.storage_data.items()
    return {
        key: dataclasses.replace(value, relative_path=f"../{value.relative_path}")
        for key, value in found
    }


def test_a_state_folder_is_private(tmp_path):
    with open_state(tmp_path / "deep" / "s") as state:
        assert stat.S_IMODE(state.path.stat().st_mode) == 0o700
        assert stat.S_IMODE((state.path / "lock").stat().st_mode) == 0o600
