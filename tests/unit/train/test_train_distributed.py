"""Two processes that train one cell, through the command line, over gloo on the CPU.

Ranks are forked where a test is not about the launcher: see `forked_ranks`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pyarrow.parquet
import pytest
import torch
import torch.distributed as dist
from forked_ranks import Pair
from training_cells import make_dataset, make_params, start_training

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, sha256_file
from scalebed.core.provenance import digest
from scalebed.data.sequences import SequenceSource
from scalebed.model import Decoder, ModelConfig, initialise
from scalebed.train.cell import train_cell
from scalebed.train.checkpoint import Checkpoint, open_state
from scalebed.train.distributed.ranks import Ranks
from scalebed.train.distributed.replicated import Replicated
from scalebed.train.interrupt import EXIT_STATUS
from scalebed.train.job import Options
from scalebed.train.loop import Training
from scalebed.train.params import Recipe

# Four sequences a rank in two passes, so every run accumulates gradients.
PARAMS = make_params(steps=60, batch_sequences=8, micro_sequences=2)
BF16 = make_params(steps=60, batch_sequences=8, micro_sequences=2, precision="bf16", seed=1)
TWO = ("--ranks", "2")
RARELY = ("--checkpoint-seconds", "1000")
WAYS = {"replicated": ("--no-shard",), "sharded": ("--shard", "--recompute")}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data"), 30_000)


def curve_of(folder: Path) -> torch.Tensor:
    table = pyarrow.parquet.read_table(folder / "curve.parquet").to_pydict()
    return torch.tensor([table["loss"], table["z_loss"], table["grad_norm"]])


def alone(root: Path, params: dict, dataset: Path, name: str = "alone") -> torch.Tensor:
    """Train in this process, going on from what is in the state folder."""
    options = Options(state=root / "state", device="cpu", checkpoint_seconds=1000.0)
    assert train_cell(params, dataset, root / name / "metrics.json", options) == "done"
    return curve_of(root / name)


@pytest.fixture(scope="module")
def reference(dataset, tmp_path_factory) -> torch.Tensor:
    return alone(tmp_path_factory.mktemp("alone"), PARAMS, dataset)


def launch(root: Path, params: dict, dataset: Path, *more: str) -> subprocess.Popen:
    return start_training(root, params, dataset, "out/metrics.json", *TWO, *more)


def fork(root: Path, params: dict, dataset: Path, *more: str) -> Pair:
    words = ["--params", json.dumps(params), "--dataset", str(dataset), "--out", "out/metrics.json"]
    return Pair(root, ["train-cell", *words, "--checkpoint-seconds", "0", *more])


def run(root: Path, params: dict, dataset: Path, *more: str) -> dict:
    process = fork(root, params, dataset, *more, *RARELY)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return read_json(root / "out" / "metrics.json")


def state_of(root: Path, params: dict, dataset: Path) -> Path:
    names = "/".join(f"{key}={value}" for key, value in params["cell"].items())
    identity = {"params": params, "dataset_sha256": sha256_file(dataset)}
    return root / "state" / names / digest(identity)


def newest(folder: Path) -> int:
    steps = [int(path.name[5:].partition(".")[0]) for path in folder.glob("step-*.s[ah]*[sd]")]
    return max(steps, default=0)


def wait_for_progress(folder: Path, process: subprocess.Popen | Pair, since: int = 0) -> None:
    end = time.monotonic() + 240
    while newest(folder) <= since:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "no checkpoint came"
        time.sleep(0.005)


class Undisturbed:
    """Folder of a run of two ranks, with its record and curve."""

    def __init__(self, root: Path, dataset: Path, way: str) -> None:
        self.root = root
        self.record = run(root, PARAMS, dataset, *WAYS[way])
        self.curve = curve_of(root / "out")


@pytest.fixture(scope="module", params=WAYS)
def undisturbed(request, dataset, tmp_path_factory) -> tuple[str, Undisturbed]:
    root = tmp_path_factory.mktemp(request.param)
    return request.param, Undisturbed(root, dataset, request.param)


def test_two_ranks_give_the_losses_of_one(undisturbed, reference):
    _, pair = undisturbed
    torch.testing.assert_close(pair.curve, reference, rtol=1e-5, atol=0)
    assert pair.record["ranks"] == 2
    assert pair.record["peak_bytes"] > 1e7
    assert pair.record["attempts"] == 1
    assert not list((pair.root / "state").rglob("step-*"))


def test_a_signal_saves_and_a_resumed_run_is_bit_identical(undisturbed, dataset, tmp_path):
    way, pair = undisturbed
    # The launcher, of one way only and until it is stopped: what is saved does not depend on it.
    # It goes on in the test of a killed rank, and ends in that of trunks.
    start = launch if way == "sharded" else fork
    folder = state_of(tmp_path, PARAMS, dataset)
    process = start(tmp_path, PARAMS, dataset, *WAYS[way])
    wait_for_progress(folder, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 75, err
    step = newest(folder)
    assert err.count(f"SIGTERM: saved after step {step}; start again to go on") == 1
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()
    assert len(list(folder.glob("step-*.s[ah]*[sd]"))) <= 2
    # The same state also is what one process goes on from.
    shutil.copytree(tmp_path / "state", tmp_path / "one" / "state")
    torch.testing.assert_close(
        alone(tmp_path / "one", PARAMS, dataset), pair.curve, rtol=1e-5, atol=0
    )
    assert read_json(tmp_path / "one" / "alone" / "metrics.json")["attempts"] == 2
    record = run(tmp_path, PARAMS, dataset, *WAYS[way])
    assert record["attempts"] == 2
    assert record["weights_sha256"] == pair.record["weights_sha256"]
    assert torch.equal(curve_of(tmp_path / "out"), pair.curve)


def begin_alone(folder: Path, params: dict, dataset: Path, steps: int) -> None:
    """Leave the state of a single process that trained some steps."""
    config, seed = ModelConfig.from_record(params["model"]), params["cell"]["seed"]
    model = Decoder(config)
    initialise(model, seed)
    recipe = Recipe.from_record(params["recipe"])
    source = SequenceSource(dataset, config.context, seed)
    training = Training(model, recipe, params["steps"], source)
    for _ in range(steps):
        training.step()
    with open_state(folder) as state:
        training.save(state, {"wall_seconds": 1.0})


def rank_pids(launcher: int) -> list[int]:
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return [int(pid) for pid in children if "train-cell" in command_of(pid)]


def command_of(pid: str) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


@pytest.mark.skipif(
    not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="needs /proc/*/children"
)
def test_a_killed_rank_ends_all_and_any_other_ranks_go_on(dataset, tmp_path, reference):
    folder = state_of(tmp_path, PARAMS, dataset)
    begin_alone(folder, PARAMS, dataset, 10)
    process = launch(tmp_path, PARAMS, dataset, *WAYS["sharded"])
    wait_for_progress(folder, process, since=10)
    ranks = rank_pids(process.pid)
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 2, err
    assert err.count("resuming after step 10") == 1
    assert err.splitlines()[-1] == (
        "scalebed train-cell: error: rank 1 was ended by SIGKILL; the state saved last is kept, "
        "start again to go on"
    )
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()
    record = run(tmp_path, PARAMS, dataset, *WAYS["replicated"])
    assert record["attempts"] == 2
    torch.testing.assert_close(curve_of(tmp_path / "out"), reference, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("once", "status"), [(False, 0), (True, EXIT_STATUS)])
def test_only_a_rank_that_failed_does_not_heed_sigterm_any_more(once, status):
    """A launcher sends it to those left, whose failure it has to hear of."""
    code = f"""
import os, signal
from scalebed.train.interrupt import end_on_sigterm, stop_on_signal
end_on_sigterm()
try:
    with stop_on_signal(once={once}):
        raise RuntimeError
except RuntimeError:
    os.kill(os.getpid(), signal.SIGTERM)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == status


def test_bf16_on_two_ranks_starts_as_on_one_and_stays_close(dataset, tmp_path):
    """Weights that differ in their last bit round to other bf16 values, hence 1 % later on."""
    one = alone(tmp_path, BF16, dataset)
    run(tmp_path, BF16, dataset, "--shard")
    two = curve_of(tmp_path / "out")
    torch.testing.assert_close(two[:2, 0], one[:2, 0], rtol=1e-5, atol=0)
    torch.testing.assert_close(two[0], one[0], rtol=1e-2, atol=0)
    assert not torch.equal(one, alone(tmp_path, PARAMS, dataset, "fp32"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--ranks", "3"), "--ranks is 3, expected a divisor of recipe.batch_sequences 8"),
        (("--ranks", "0"), "--ranks is 0, expected a divisor of recipe.batch_sequences 8"),
        (("--shard",), "--shard needs more than one rank: give --ranks"),
    ],
)
def test_ranks_that_cannot_share_a_batch_are_refused(dataset, tmp_path, capsys, words, message):
    out = tmp_path / "out" / "metrics.json"
    fixed = ["--params", json.dumps(PARAMS), "--dataset", str(dataset), "--out", str(out)]
    state = ["--state", str(tmp_path / "state"), "--device", "cpu"]
    assert main(["train-cell", *fixed, *state, *words]) == 2
    assert capsys.readouterr().err == f"scalebed train-cell: error: {message}\n"
    assert not out.parent.exists()


def test_the_reducer_goes_while_the_group_of_ranks_is_there(dataset):
    """As its last owner, it would wait for threads of the group, holding what they wait for."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        model = Decoder(ModelConfig.from_record(PARAMS["model"]))
        initialise(model, 0)
        recipe = Recipe.from_record(PARAMS["recipe"])
        source = SequenceSource(dataset, model.config.context, 0)
        training = Replicated(model, recipe, PARAMS["steps"], source, Ranks())
        training.step()
        left = weakref.ref(training._ddp)
        training.close()
        assert left() is None
        assert training.done == 1
    finally:
        dist.destroy_process_group()


def save_sharded(state, step: int) -> None:
    tensors = {"x": torch.full((1000,), float(step)), "step": torch.tensor(float(step))}
    state.save_sharded(Checkpoint(step, tensors, {"seconds": step}), Ranks())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize("name", ["__0_0.distcp", ".metadata", "sums.json"])
@pytest.mark.parametrize("damage", [cut, Path.unlink])
def test_a_broken_sharded_checkpoint_falls_back_to_the_one_before(tmp_path, caplog, name, damage):
    with open_state(tmp_path / "s") as state:
        for step in (1, 2, 30):
            save_sharded(state, step)
        kept = sorted(path.name for path in state.path.glob("*step-*"))
        assert kept == ["step-000000002.sharded", "step-000000030.sharded"]
        broken = state.path / kept[1]
        damage(broken / name)
        found = state.newest()
        assert (found.step, found.facts) == (2, {"seconds": 2})
        assert f"checkpoint {broken} is broken" in caplog.text
        assert not broken.exists()
        x = torch.zeros(1000)
        found.fill({"x": x})
        assert torch.equal(x, torch.full((1000,), 2.0))
        with pytest.raises(ValueError, match="does not fit"):
            found.fill({"y": x})


def test_a_sharded_checkpoint_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
    with open_state(tmp_path / "s") as state:
        save_sharded(state, 1)
        (state.path / ".step-000000002.sharded.part").write_text("a file where a folder belongs")
        with pytest.raises(ScalebedError, match=r"cannot write .*step-000000002\.sharded"):
            save_sharded(state, 2)
        assert state.newest().step == 1
