import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet
import pytest
import torch
from training_cells import make_dataset, make_params, start_training

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, sha256_file, write_json
from scalebed.core.provenance import digest
from scalebed.model import load_model
from scalebed.train.cell import train_cell
from scalebed.train.checkpoint import open_state
from scalebed.train.job import Options

FAST = {"threads": 1, "device": "cpu"}


def train(root: Path, params, dataset: Path, name: str = "cell", **options):
    out = root / name / "metrics.json"
    status = train_cell(params, dataset, out, Options(state=root / "state", **FAST | options))
    record = read_json(out)
    assert record["status"] == status
    return record


def state_of(root: Path, params, dataset: Path) -> Path:
    names = "/".join(f"{key}={value}" for key, value in params["cell"].items())
    identity = {"params": params, "dataset_sha256": sha256_file(dataset)}
    return root / "state" / names / digest(identity)


def test_a_trained_cell_has_its_record_curve_and_model(tmp_path):
    dataset, params = make_dataset(tmp_path), make_params(steps=30)
    record = train(tmp_path, params, dataset)
    assert record["status"] == "done"
    assert record["reason"] is None
    assert record["params"] == params
    assert record["dataset_sha256"] == sha256_file(dataset)
    # N = 2Vd + l(4d² + 3dh + 2d) + d with V 64, d 16, l 2, h 48
    assert record["counts"]["params"] == 2048 + 2 * (1024 + 2304 + 32) + 16
    assert record["tokens"] == 30 * 4 * 16
    assert record["token_multiplier"] == pytest.approx(1920 / 8784)
    assert record["flops"] == 6.0 * 8784 * 1920
    assert record["epochs"] == pytest.approx(1920 / 8000)
    assert record["attempts"] == 1
    assert record["weights_sha256"] == sha256_file(tmp_path / "cell" / "model.safetensors")
    curve = pyarrow.parquet.read_table(tmp_path / "cell" / "curve.parquet").to_pydict()
    assert record["curve_rows"] == len(curve["step"]) == 30
    assert record["train_loss"] == pytest.approx(sum(curve["loss"][-10:]) / 10)
    assert curve["loss"][-1] < curve["loss"][0] - 0.5
    model, about = load_model(tmp_path / "cell")
    assert about["tokenizer"] == "t"
    assert model.config.record() == params["model"]
    assert not (tmp_path / "state").exists() or not list((tmp_path / "state").rglob("step-*"))


def test_a_rerun_is_bit_identical_and_a_seed_makes_a_difference(tmp_path):
    dataset = make_dataset(tmp_path)
    first = train(tmp_path, make_params(), dataset, "first")
    again = train(tmp_path, make_params(), dataset, "again")
    other = train(tmp_path, make_params(seed=1), dataset, "other")
    assert first["weights_sha256"] == again["weights_sha256"] != other["weights_sha256"]
    for name in ("curve.parquet", "model.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


class Reference(NamedTuple):
    """A cell trained without disturbance."""

    dataset: Path
    params: dict
    record: dict
    curve: bytes


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Reference:
    root = tmp_path_factory.mktemp("reference")
    dataset, params = make_dataset(root, 30_000), make_params(steps=400)
    record = train(root, params, dataset)
    return Reference(dataset, params, record, (root / "cell" / "curve.parquet").read_bytes())


def assert_same(reference: Reference, out: Path) -> None:
    assert read_json(out / "metrics.json")["weights_sha256"] == reference.record["weights_sha256"]
    assert sha256_file(out / "model.safetensors") == reference.record["weights_sha256"]
    assert (out / "curve.parquet").read_bytes() == reference.curve


def wait_for_progress(folder: Path, process: subprocess.Popen, since: str = "") -> str:
    """Return the newest checkpoint's name once it is newer than `since`, while training runs."""
    end = time.monotonic() + 120
    while True:
        newest = max((path.name for path in folder.glob("step-*.safetensors")), default="")
        if newest > since:
            return newest
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "no checkpoint came"
        time.sleep(0.005)


def test_killed_at_random_points_it_ends_with_the_same_weights_and_curve(tmp_path, reference):
    params, dataset = reference.params, reference.dataset
    folder, out = state_of(tmp_path, params, dataset), tmp_path / "out"
    rng = random.Random(os.urandom(8))
    newest = ""
    for _ in range(2):
        process = start_training(tmp_path, params, dataset, "out/metrics.json")
        wait_for_progress(folder, process, newest)
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        process.communicate()
        newest = max(path.name for path in folder.glob("step-*.safetensors"))
        assert process.returncode == -signal.SIGKILL
        assert not out.exists()
    record = train(tmp_path, params, dataset, "out")
    assert record["attempts"] == 3
    assert record["train_loss"] == reference.record["train_loss"]
    assert_same(reference, out)
    assert not list(folder.glob("step-*"))


def test_a_signal_saves_and_exits_75_and_the_next_start_goes_on(tmp_path, reference):
    params, dataset = reference.params, reference.dataset
    folder, newest = state_of(tmp_path, params, dataset), ""
    for number in (signal.SIGTERM, signal.SIGINT):
        process = start_training(tmp_path, params, dataset, "out/metrics.json")
        wait_for_progress(folder, process, newest)
        process.send_signal(number)
        _, err = process.communicate()
        assert process.returncode == 75, err
        newest = max(path.name for path in folder.glob("step-*.safetensors"))
        step = int(newest.removeprefix("step-").removesuffix(".safetensors"))
        assert f"{number.name}: saved after step {step}" in err
    assert not (tmp_path / "out").exists()
    # The rest in one go, in this process.
    assert train(tmp_path, params, dataset, "out")["attempts"] == 3
    assert_same(reference, tmp_path / "out")


def test_a_scheduler_may_ask_more_than_once(tmp_path, reference):
    params, dataset = reference.params, reference.dataset
    process = start_training(tmp_path, params, dataset, "out/metrics.json")
    folder = state_of(tmp_path, params, dataset)
    wait_for_progress(folder, process, "")
    # Both are there before the process takes another step.
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    for _ in range(20):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.001)
    _, err = process.communicate()
    assert process.returncode == 75, err
    assert "SIGTERM: saved after step" in err


def test_a_second_trainer_is_told_and_ends_with_2(tmp_path, reference):
    params, dataset = reference.params, reference.dataset
    with open_state(state_of(tmp_path, params, dataset)):
        second = start_training(tmp_path, params, dataset, "out/metrics.json")
        _, err = second.communicate()
    assert second.returncode == 2
    assert err.count("\n") == 1
    assert "scalebed train-cell: error: another process is training this cell" in err


def test_divergence_ends_the_cell_and_keeps_the_curve(tmp_path):
    dataset = make_dataset(tmp_path, 60_000)
    params = make_params(steps=600, lr=300.0, lr_end=300.0, qk_norm=False)
    record = train(tmp_path, params, dataset)
    assert record["status"] == "diverged"
    assert record["reason"]
    assert record["weights_sha256"] is None
    assert record["train_loss"] is None
    rows = pyarrow.parquet.read_table(tmp_path / "cell" / "curve.parquet").num_rows
    assert 0 < rows == record["curve_rows"]
    assert sorted(path.name for path in (tmp_path / "cell").iterdir()) == [
        "curve.parquet",
        "metrics.json",
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"steps": 200}, "the cell needs 12,800 tokens, but data set d has 8,000"),
        ({"steps": 125}, "the cell needs 8,000 tokens, but data set d has 7,984"),
        ({"vocab": 32}, "model.vocab is 32, but data set d has token ids up to 63"),
        ({"heads": 3}, "model.heads is 3, which does not divide width 16"),
        ({"micro_sequences": 3}, "recipe.micro_sequences 3 does not divide"),
    ],
)
def test_a_cell_that_cannot_be_trained_has_failed_with_a_reason(tmp_path, change, reason):
    record = train(tmp_path, make_params(**change), make_dataset(tmp_path))
    assert record["status"] == "failed"
    assert reason in record["reason"]
    assert record["curve_rows"] == 0
    table = pyarrow.parquet.read_table(tmp_path / "cell" / "curve.parquet")
    assert table.column_names == ["step", "tokens", "loss", "z_loss", "lr", "grad_norm"]
    assert table.num_rows == 0


def test_repeats_are_trained_where_they_are_allowed(tmp_path):
    params = make_params(steps=200, allow_repeats=True)
    record = train(tmp_path, params, make_dataset(tmp_path))
    assert record["status"] == "done"
    assert record["epochs"] == pytest.approx(1.6)


def test_a_failed_rerun_leaves_no_old_model(tmp_path):
    dataset = make_dataset(tmp_path)
    train(tmp_path, make_params(), dataset)
    train(tmp_path, make_params(heads=3), dataset)
    assert not (tmp_path / "cell" / "model.safetensors").exists()


def test_params_that_contradict_themselves_are_an_error(tmp_path):
    with pytest.raises(ScalebedError, match="tokens is 1920, but 31 steps"):
        train(tmp_path, make_params() | {"steps": 31}, make_dataset(tmp_path))
    assert not (tmp_path / "cell").exists()


def test_a_truncated_shard_is_an_error_that_names_it(tmp_path):
    dataset = make_dataset(tmp_path)
    shard = tmp_path / "tokens" / "t" / "c" / "train-00000.bin"
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(ScalebedError, match=r"train-00000\.bin"):
        train(tmp_path, make_params(), dataset)
    assert not (tmp_path / "cell" / "metrics.json").exists()


def test_an_unwritable_folder_is_an_error_that_names_it(tmp_path):
    dataset = make_dataset(tmp_path)
    (tmp_path / "cell").write_text("a file where a folder belongs")
    with pytest.raises(ScalebedError, match=r"cannot write .*cell"):
        train(tmp_path, make_params(), dataset)
    (tmp_path / "cell").unlink()
    (tmp_path / "state").rename(tmp_path / "old")
    (tmp_path / "state").write_text("another")
    with pytest.raises(ScalebedError, match=r"cannot write .*state"):
        train(tmp_path, make_params(), dataset)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 kB; the state of the tiny cell takes 110 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Fill the disk up to about `leave` bytes."""
    filler = disk / "filler"
    stat = os.statvfs(disk)
    filler.write_bytes(bytes(max(0, stat.f_bavail * stat.f_frsize - leave)))
    return filler


def test_a_full_disk_during_training_ends_it_and_a_rerun_heals(tmp_path, small_disk, reference):
    params, dataset = reference.params, reference.dataset
    filler = fill(small_disk, leave=150_000)  # room for one checkpoint, not for two
    process = start_training(small_disk, params, dataset, "out/metrics.json")
    _, err = process.communicate()
    assert process.returncode == 2, err
    last = err.splitlines()[-1]
    assert last.startswith("scalebed train-cell: error: cannot write ")
    assert "step-000000002.safetensors" in last
    assert "Traceback" not in err
    assert not (small_disk / "out").exists()
    folder = state_of(small_disk, params, dataset)
    assert [path.name for path in folder.glob("*.safetensors")] == ["step-000000001.safetensors"]
    assert not list(folder.glob(".step*"))
    filler.unlink()
    assert train(small_disk, params, dataset, "out")["attempts"] == 2
    assert_same(reference, small_disk / "out")


def test_a_full_disk_at_the_end_leaves_no_record_and_a_rerun_heals(tmp_path, small_disk):
    dataset, params = make_dataset(tmp_path), make_params()
    (tmp_path / "elsewhere").mkdir()
    (small_disk / "state").symlink_to(tmp_path / "elsewhere")
    filler = fill(small_disk, leave=8_000)
    with pytest.raises(ScalebedError, match=r"cannot write .*model\.safetensors"):
        train(small_disk, params, dataset)
    assert list((small_disk / "cell").iterdir()) == []
    filler.unlink()
    assert train(small_disk, params, dataset)["status"] == "done"


def test_a_corrupt_newest_checkpoint_costs_steps_and_nothing_else(tmp_path, caplog, reference):
    params, dataset = reference.params, reference.dataset
    process = start_training(tmp_path, params, dataset, "out/metrics.json")
    folder = state_of(tmp_path, params, dataset)
    wait_for_progress(folder, process, since="step-000000001.safetensors")
    process.kill()
    process.communicate()
    newest = max(folder.glob("step-*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-7])
    train(tmp_path, params, dataset, "out")
    assert f"checkpoint {newest} is broken" in caplog.text
    assert_same(reference, tmp_path / "out")


def test_the_verb_refuses_what_is_not_json(tmp_path):
    command = [sys.executable, "-m", "scalebed", "train-cell", "--params", "{", "--dataset", "d"]
    done = subprocess.run([*command, "--out", "o"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("scalebed train-cell: error: --params is not JSON")


def test_generate_continues_a_prompt(tmp_path, capsys):
    from scalebed.commands.cli import main
    from scalebed.data.tokenizer import train_tokenizer

    dataset = make_dataset(tmp_path / "results", vocab=257)
    params = make_params(vocab=257)
    names = "/".join(f"{key}={value}" for key, value in params["cell"].items())
    folder = tmp_path / "results" / "cells" / names
    train_cell(params, dataset, folder / "metrics.json", Options(state=tmp_path / "s", **FAST))
    about = {"tokenizer": "t", "kind": "bytes", "numerics": 1}
    train_tokenizer(about, [], tmp_path / "results" / "tokenizers" / "t" / "manifest.json")
    command = ["generate", "--cell", str(folder), "--prompt", "abc", "--tokens", "20"]
    texts = []
    for seed in ("1", "1", "2"):
        assert main([*command, "--seed", seed]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]
    assert all(text.startswith("abc") for text in texts)
    assert main([*command, "--temperature", "-1"]) == 2


GOLDEN = Path(__file__).parents[2] / "golden" / "losses.json"


def golden_losses(tmp_path) -> dict:
    dataset = make_dataset(tmp_path)
    curves = {}
    for name, change in {
        "base": {},
        "accumulated": {"micro_sequences": 2},
        "without_qk_norm": {"qk_norm": False, "heads": 1, "layers": 3},
    }.items():
        train(tmp_path, make_params(steps=20, **change), dataset, name)
        curves[name] = pyarrow.parquet.read_table(tmp_path / name / "curve.parquet").to_pydict()
    return {
        name: {key: curve[key] for key in ("loss", "grad_norm")} for name, curve in curves.items()
    }


def test_losses_move_only_with_the_numerics_version(tmp_path):
    """Losses of 20 steps are those on record for this `recipes.NUMERICS`.

    The tolerance of 1e-4 is what other processors, thread counts and vector widths need: they sum
    in another order, which AdamW's first steps amplify; on one machine the losses agree to the
    last bit. A change of recipe, order of data or arithmetic moves them by far more.
    """
    from scalebed.core import arithmetic

    found = golden_losses(tmp_path)
    if os.environ.get("SCALEBED_WRITE_GOLDEN"):
        write_json(GOLDEN, {"numerics": arithmetic.NUMERICS, "curves": found})
    golden = json.loads(GOLDEN.read_text())
    if golden["numerics"] != arithmetic.NUMERICS:
        pytest.fail(
            f"the golden losses are of numerics {golden['numerics']}, the code says "
            f"{arithmetic.NUMERICS}: write new ones with SCALEBED_WRITE_GOLDEN=1"
        )
    for name, curve in golden["curves"].items():
        for key, values in curve.items():
            torch.testing.assert_close(
                torch.tensor(found[name][key]),
                torch.tensor(values),
                rtol=1e-4,
                atol=0,
                msg=lambda text, name=name, key=key: (
                    f"{name} {key} moved; if that is meant, raise recipes.NUMERICS: {text}"
                ),
            )


def test_a_record_that_was_removed_is_put_back_without_training(tmp_path, reference):
    params, dataset = reference.params, reference.dataset
    before = train(tmp_path, params, dataset, "out")
    state, out = state_of(tmp_path, params, dataset), tmp_path / "out"
    kept = [
        ".curve.parquet.sha256",
        ".metrics.json.sha256",
        "curve.parquet",
        "lock",
        "metrics.json",
    ]
    assert sorted(path.name for path in state.iterdir()) == kept
    # Had it been killed before it removed all else.
    (state / "step-000000001.safetensors").touch()
    curve = (out / "curve.parquet").read_bytes()
    # What Snakemake does to the outputs of a job before it starts it once more.
    for name in ("metrics.json", "curve.parquet"):
        (out / name).unlink()
    assert train(tmp_path, params, dataset, "out") == before
    assert (out / "curve.parquet").read_bytes() == curve
    assert sorted(path.name for path in state.iterdir()) == kept


def test_a_removed_record_without_its_weights_is_trained_anew(tmp_path, reference):
    params, dataset = reference.params, reference.dataset
    before = train(tmp_path, params, dataset, "out")
    (tmp_path / "out/metrics.json").unlink()
    (tmp_path / "out/model.safetensors").write_bytes(b"of another recipe")
    after = train(tmp_path, params, dataset, "out")
    assert after["weights_sha256"] == before["weights_sha256"]
    assert after["attempts"] == 1
    assert after["wall_seconds"] != before["wall_seconds"]
    assert_same(reference, tmp_path / "out")


def test_a_second_trainer_waits_and_finds_the_cell_trained(tmp_path, reference):
    params, dataset = reference.params, reference.dataset
    # Trained to its end, so not saved after every step.
    seldom = ("--checkpoint-seconds", "0.05")
    first = start_training(tmp_path, params, dataset, "out/metrics.json", *seldom)
    wait_for_progress(state_of(tmp_path, params, dataset), first, "")
    first.send_signal(signal.SIGSTOP)
    second = start_training(tmp_path, params, dataset, "out/metrics.json", "--wait-minutes", "2")
    assert any("waiting for it to end" in line for line in second.stderr)
    first.send_signal(signal.SIGCONT)
    first.communicate()
    _, err = second.communicate()
    assert "trained already" in err
    assert (first.returncode, second.returncode) == (0, 0), err
    assert read_json(tmp_path / "out/metrics.json")["attempts"] == 1
    assert_same(reference, tmp_path / "out")
