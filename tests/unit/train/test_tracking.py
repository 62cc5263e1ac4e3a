"""Trackers are told of trainings, and no training depends on them."""

import json
import logging
import os
import re
import signal
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.csv
import pytest
from forked_ranks import Pair
from forked_training import fork_training
from small_study import study_values
from training_cells import make_dataset, make_params

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, sha256_file
from scalebed.core.provenance import state_digest
from scalebed.core.tracking import PROJECT, TRACKING, check_tracker, offer_tracking, untracked
from scalebed.core.trunks import leaves_at, state_path, trunk_of, trunk_spec
from scalebed.plan import rule_params
from scalebed.study.trained import parse_study
from scalebed.tables.runs_file import read_runs
from scalebed.train.cell import train_cell
from scalebed.train.job import Options
from scalebed.train.trunk import train_trunk

STEPS = 200
LOOKS = list(range(25, STEPS + 1, 25))
# A tracker of one's own, as docs/tracking.md shows it.
HOOK = """
import json, sys, time
from pathlib import Path

class Lines:
    def __init__(self, project, name, id, config):
        self.write({"project": project, "name": name, "id": id, "config": config})

    def write(self, values):
        with Path("lines.jsonl").open("a") as file:
            file.write(json.dumps(values) + "\\n")

    def log(self, data, step):
        self.write({"step": step, **data})

    def finish(self):
        self.write({"finished": True})

class Falls(Lines):
    def log(self, data, step):
        if step > 50:
            raise OSError("the disk of the\\ntracker is full")

class Exits(Lines):
    def __init__(self, **run):
        sys.exit(3)

class Hangs(Lines):
    def finish(self):
        time.sleep(60)
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data"), 30_000)


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that the tracker writes into."""
    (tmp_path / "hook.py").write_text(HOOK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "hook", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "lines.jsonl"


def lines(path: Path, key: str) -> list[Any]:
    # The last one may be half written.
    rows = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    return [row[key] for row in rows if key in row]


def train(name: str, params: dict[str, Any], dataset: Path, **options: Any) -> str:
    """Train in this process; return the checksum of the weights."""
    out = Path(name, "metrics.json")
    chosen = Options(state=Path("state", name), device="cpu", **options)
    assert train_cell(params, dataset, out, chosen) == "done"
    return str(read_json(out)["weights_sha256"])


def test_a_tracker_of_ones_own_is_told_and_changes_nothing(hook: Path, dataset: Path) -> None:
    params = make_params(steps=STEPS)
    alone = train("alone", params, dataset)
    assert not hook.exists()
    assert train("told", params, dataset, tracking="hook:Lines", project="mine") == alone
    assert lines(hook, "project") == ["mine"]
    assert lines(hook, "name") == ["dataset=d/size=s/ratio=20/recipe=base/seed=0"]
    assert lines(hook, "id") == [state_digest(params, sha256_file(dataset))]
    (config,) = lines(hook, "config")
    # N = 2Vd + l(4d² + 3dh + 2d) + d with V 64, d 16, l 2, h 48
    assert config["params"] == 8784
    assert (config["seed"], config["width"], config["lr"]) == (0, 16, 1e-2)
    assert lines(hook, "step") == LOOKS
    assert lines(hook, "tokens") == [step * 4 * 16 for step in LOOKS]
    curve = pyarrow.parquet.read_table("told/curve.parquet").to_pydict()
    assert lines(hook, "loss") == [curve["loss"][step - 1] for step in LOOKS]
    assert lines(hook, "learning_rate") == [curve["lr"][step - 1] for step in LOOKS]
    assert lines(hook, "finished") == [True]


@pytest.mark.parametrize(
    ("tracker", "said"),
    [
        ("hook:Falls", "hook:Falls ended, .*: OSError: the disk of the tracker is full"),
        ("hook:Exits", "hook:Exits ended, .*: SystemExit: 3"),
        ("hook:Nothing", "hook:Nothing ended, .*: AttributeError: module 'hook' has no"),
        ("no_such_module:f", "No module named 'no_such_module'"),
        ("hook:Hangs", "hook:Hangs did not end within 0 s"),
    ],
)
def test_a_tracker_that_fails_costs_one_warning(
    hook: Path,
    dataset: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tracker: str,
    said: str,
) -> None:
    monkeypatch.setattr("scalebed.train.tracking._FINISH_SECONDS", 0.2)
    train("cell", make_params(steps=75), dataset, tracking=tracker)
    warned = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(warned) == 1
    assert re.search(said, warned[0].getMessage())


def test_a_stopped_and_killed_cell_goes_on_in_the_same_run_and_no_step_is_told_twice(
    hook: Path, dataset: Path, tmp_path: Path
) -> None:
    params = make_params(steps=400)
    words = ("--tracking", "hook:Lines", "--checkpoint-seconds", "0.1")
    ended = []
    for number, told in ((signal.SIGTERM, 3), (signal.SIGKILL, 8), (None, 0)):
        process = fork_training(tmp_path, params, dataset, "m.json", *words, verb="train-cell")
        end = time.monotonic() + 120
        while not hook.exists() or len(lines(hook, "step")) < told:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.005)
        if number is not None:
            process.send_signal(number)
        process.communicate(timeout=120)
        ended.append(process.returncode)
    assert ended == [75, -signal.SIGKILL, 0]
    steps = lines(hook, "step")
    assert steps == sorted(set(steps))
    # A step is noted before it is told, so a kill loses one at the most.
    assert len(set(range(25, 401, 25)) - set(steps)) <= 1
    assert len(lines(hook, "id")) == 3
    assert len(set(lines(hook, "id"))) == 1
    assert len(lines(hook, "finished")) == 2


def test_pieces_of_a_trunk_are_one_run_and_a_branch_is_told_of_its_own_steps(
    hook: Path, dataset: Path
) -> None:
    wsd = {"schedule": "wsd", "cooldown": 0.25, "shape": "linear"}
    cells = []
    for steps in (100, 200):
        params = make_params(steps=steps)
        params["cell"]["ratio"] = steps
        params["recipe"] |= wsd
        cells.append(params)
    options = Options(state=Path("state"), device="cpu", tracking="hook:Lines")
    before = []
    for params in cells:
        trunk, step = trunk_of(params), leaves_at(params)
        assert trunk is not None
        assert step is not None
        out = Path("trunks", state_path(trunk, step))
        assert train_trunk(trunk_spec(params, step), dataset, out, options, *before) == "done"
        before = [out]
    assert lines(hook, "step") == [25, 50, 75, 100, 125, 150]
    assert len(set(lines(hook, "id"))) == len(set(lines(hook, "name"))) == 1
    assert set(lines(hook, "learning_rate")) == {1e-2}
    assert train_cell(cells[-1], dataset, Path("c/metrics.json"), options, *before) == "done"
    assert lines(hook, "step")[6:] == [175, 200]
    assert len(set(lines(hook, "id"))) == 2


def test_of_two_ranks_one_tells(hook: Path, dataset: Path, tmp_path: Path) -> None:
    words = ["--params", json.dumps(make_params(steps=50)), "--dataset", str(dataset)]
    words += ["--out", "o/metrics.json", "--tracking", "hook:Lines", "--no-shard"]
    pair = Pair(tmp_path, ["train-cell", *words])
    _, err = pair.communicate(timeout=240)
    assert pair.returncode == 0, err
    assert lines(hook, "step") == [25, 50]
    assert len(lines(hook, "id")) == 1


def test_events_are_written_on_request(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra scalebed[tensorboard]")
    from scalebed.watch.live import read_live

    monkeypatch.chdir(tmp_path)
    params = make_params(steps=STEPS)
    train("a", params, dataset, tracking="tensorboard")
    train("b", params, dataset, tensorboard=Path("events"))
    (found,) = Path("logs/tensorboard").rglob("events.out.tfevents.*")
    assert found.parent.name == "seed=0"
    for folder in (found.parent, Path("events")):
        curve = read_live(folder)
        assert curve.tokens.tolist() == [step * 4 * 16 for step in LOOKS]
        assert curve.loss[-1] < curve.loss[0]


def test_what_is_no_tracker_is_refused_before_anything_trains(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--params", json.dumps(make_params()), "--dataset", str(dataset), "--out", "m.json"]
    assert main(["train-cell", *words, "--tracking", "mlflow"]) == 2
    assert "no tracker is called 'mlflow', expected wandb, trackio" in capsys.readouterr().err
    both = ["--tracking", "hook:Lines", "--tensorboard", "events"]
    assert main(["train-cell", *words, *both]) == 2
    assert "--tensorboard is for tracking by TensorBoard" in capsys.readouterr().err
    assert not Path("m.json").exists()


def test_a_study_names_a_tracker_that_is_part_of_no_rule() -> None:
    study = parse_study(study_values(), "tiny.yaml")
    told = parse_study(study_values() | {"tracking": "hook:Lines"}, "tiny.yaml")
    assert [rule_params.cell(study, cell) for cell in study.cells()] == [
        rule_params.cell(told, cell) for cell in told.cells()
    ]
    for params in (rule_params.tables, rule_params.fit, rule_params.report, rule_params.enough):
        assert params(study) == params(told)
    with pytest.raises(ScalebedError, match=r"tiny\.yaml: tracking: no tracker is called 'mlflow'"):
        parse_study(study_values() | {"tracking": "mlflow"}, "tiny.yaml")


def test_a_study_puts_its_tracker_into_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACKING, "")
    monkeypatch.setenv(PROJECT, "")
    offer_tracking(None, "tiny")
    assert (os.environ[TRACKING], os.environ[PROJECT], untracked()) == ("", "", None)
    offer_tracking("no_such_module:f", "tiny")
    assert (os.environ[TRACKING], os.environ[PROJECT]) == ("no_such_module:f", "tiny")
    assert "there is no module no_such_module" in str(untracked())
    offer_tracking("json:dumps", "other")
    assert (os.environ[PROJECT], untracked()) == ("other", None)
    # One that the environment names for all studies is filed under each of them.
    offer_tracking(None, "third")
    assert (os.environ[TRACKING], os.environ[PROJECT]) == ("json:dumps", "third")
    with pytest.raises(ScalebedError, match="no tracker is called 'a b'"):
        check_tracker("a b")


def records_of_wandb(file: Path) -> Iterator[bytes]:
    """Yield what stands in a file of W&B, which has no reader in Python: a log of LevelDB."""
    data, at, record = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # no room for a header is left in the block
            at += 32768 - at % 32768
        length, kind = struct.unpack_from("<HB", data, at + 4)
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


@pytest.mark.trackers
def test_a_run_of_wandb_comes_back_as_a_row_of_its_table(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="needs the extra scalebed[wandb]")
    from wandb.proto import wandb_internal_pb2

    monkeypatch.chdir(tmp_path)
    params = make_params(steps=STEPS)
    train("cell", params, dataset, tracking="wandb", project="tiny")
    (file,) = Path("wandb").glob("offline-run-*/run-*.wandb")
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    steps, code = [], None
    for data in records_of_wandb(file):
        record = wandb_internal_pb2.Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            config |= {item.key: json.loads(item.value_json) for item in run.config.update}
        elif kind == "history":
            items = record.history.item
            summary |= {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
            steps.append(summary["_step"])
        elif kind == "exit":
            code = record.exit.exit_code
    assert (run.project, run.run_id) == ("tiny", state_digest(params, sha256_file(dataset)))
    assert (steps, code) == (LOOKS, 0)
    config.pop("_wandb", None)
    # The table that W&B's documentation shows how to write, as our reader of it reads it.
    row = {"summary": [str(summary)], "config": [str(config)], "name": [run.display_name]}
    pyarrow.csv.write_csv(pyarrow.table(row), "runs.csv")
    found = read_runs(Path("runs.csv"))
    assert (found.params.tolist(), found.tokens.tolist()) == ([8784], [STEPS * 4 * 16])
    assert found.losses["loss"].tolist() == [summary["loss"]]


@pytest.mark.trackers
def test_trackio_keeps_a_run_on_this_machine(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trackio = pytest.importorskip("trackio", reason="needs the extra scalebed[trackio]")
    monkeypatch.chdir(tmp_path)
    train("cell", make_params(steps=STEPS), dataset, tracking="trackio", project="tiny")
    (run,) = trackio.Api().runs("tiny")
    assert run.name == "dataset=d/size=s/ratio=20/recipe=base/seed=0"
