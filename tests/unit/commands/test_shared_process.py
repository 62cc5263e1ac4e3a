"""Processes shared between jobs: real servers, clients, signals and deaths."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from evaluation_cells import World
from training_cells import make_dataset, make_params, start_training

import scalebed
from scalebed.commands.shared_process import client, lifetime, protocol
from scalebed.core.files import read_json, sha256_file
from scalebed.core.provenance import canonical_json, state_digest

pytestmark = pytest.mark.skipif(
    not lifetime.possible(), reason="sharing is off here: no pidfd, or a GPU"
)
SHARED = "s of CPU, at most"
"""What a client writes to stderr when a server has run its verb."""


def parents() -> dict[int, int]:
    """Return the parent of every process."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            facts = (entry / "stat").read_text().rpartition(")")[2].split()
            found[int(entry.name)] = int(facts[1])
    return found


def children(parent: int) -> list[int]:
    return [pid for pid, other in parents().items() if other == parent]


def cmdline(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def environ(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


class Owner:
    """A process that jobs are started for, as the main process of a workflow is."""

    def __init__(self) -> None:
        code = (
            "import os, sys; from scalebed.commands.shared_process import lifetime;"
            "lifetime.offer(True);"
            "print(os.environ[lifetime.VARIABLE], flush=True); sys.stdin.read()"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={k: v for k, v in os.environ.items() if k != lifetime.SWITCH},
        )
        assert self.process.stdout is not None
        self.text = self.process.stdout.readline().strip()
        owner = lifetime.read_owner(self.text)
        assert owner is not None
        self.folder = Path(owner.folder)

    def servers(self) -> list[int]:
        """Return the servers that work for this owner, without the processes they forked."""
        found = {pid: parent for pid, parent in parents().items() if self.text in cmdline(pid)}
        return [pid for pid, parent in found.items() if parent not in found]

    def trainer(self) -> int:
        """Return the server for training."""
        # One for another environment, which a test before asked for, may still be waiting.
        (pid,) = [
            pid
            for pid in self.servers()
            if cmdline(pid)[-2] == "train" and f"{lifetime.SWITCH}=" not in environ(pid)
        ]
        return pid

    def end(self) -> None:
        self.process.communicate()
        wait_until(lambda: not self.servers())
        assert not self.folder.exists()


@pytest.fixture(scope="module")
def one_owner() -> Iterator[Owner]:
    found = Owner()
    yield found
    found.end()


@pytest.fixture
def owner(one_owner: Owner, monkeypatch: pytest.MonkeyPatch) -> Owner:
    """Return an owner whose servers the tests of this file share, named in the environment."""
    monkeypatch.delenv(lifetime.SWITCH, raising=False)
    monkeypatch.setenv(lifetime.VARIABLE, one_owner.text)
    # `start_training` and torch set these, and a server is for one environment.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", one_owner.text.rpartition(":")[2])
    # So does Snakemake for jobs of one thread; a server with more threads would not serve.
    for name in ("OMP", "OPENBLAS", "MKL"):
        monkeypatch.setenv(f"{name}_NUM_THREADS", "1")
    return one_owner


@pytest.fixture
def own_owner(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> Iterator[Owner]:
    """Return an owner for one test, to be treated badly."""
    found = Owner()
    monkeypatch.setenv(lifetime.VARIABLE, found.text)
    yield found
    found.end()


class Reference:
    """A cell trained in a process of its own; `folder` is where all jobs run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dataset = make_dataset(folder, 100_000)
        self.params = make_params(steps=1500)
        self.short = make_params(steps=30)
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        process = start_training(folder, self.params, self.dataset, "apart/metrics.json")
        _, err = process.communicate()
        assert process.returncode == 0, err
        assert SHARED not in err

    def start(self, out: str, *more: str) -> subprocess.Popen[str]:
        return start_training(self.folder, self.params, self.dataset, f"{out}/metrics.json", *more)

    @property
    def state(self) -> Path:
        cell = "/".join(f"{key}={value}" for key, value in self.params["cell"].items())
        return self.folder / "state" / cell / state_digest(self.params, sha256_file(self.dataset))

    def assert_same(self, out: str) -> None:
        ours, theirs = self.folder / out, self.folder / "apart"
        for name in ("model.safetensors", "model.json", "curve.parquet"):
            assert (ours / name).read_bytes() == (theirs / name).read_bytes()
        assert timeless(ours / "metrics.json") == timeless(theirs / "metrics.json")

    def wait_for_progress(self, process: subprocess.Popen[str], since: str = "") -> str:
        def newest() -> str:
            assert process.poll() is None, process.communicate()[1]
            return max((path.name for path in self.state.glob("step-*.safetensors")), default="")

        wait_until(lambda: newest() > since)
        return newest()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return Reference(tmp_path_factory.mktemp("reference"))


def timeless(path: Path) -> dict:
    record = read_json(path)
    for key in ("seconds", "wall_seconds", "tokens_per_second", "run", "attempts", "peak_bytes"):
        record.pop(key, None)
    return record


def wait_until(done, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def environment() -> dict[str, str]:
    # pytest notes the running test there; a server is for one environment.
    return {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}


def run(folder: Path, *words: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scalebed", *map(str, words)],
        cwd=folder,
        env=environment() | more,
        capture_output=True,
        text=True,
        check=False,
    )


def test_training_is_the_same_and_speaks_to_the_callers_files(owner, reference):
    words = ["train-cell", "--params", json.dumps(reference.params), "--out", "same/metrics.json"]
    out, err = reference.folder / "out.txt", reference.folder / "err.txt"
    with out.open("w") as stdout, err.open("w") as stderr:
        done = subprocess.run(
            [sys.executable, "-m", "scalebed", *words, "--dataset", str(reference.dataset)],
            cwd=reference.folder,
            env=environment(),
            stdout=stdout,
            stderr=stderr,
            check=False,
        )
    assert done.returncode == 0, err.read_text()
    assert out.read_text() == ""
    assert "step 1500/1500" in err.read_text()
    assert SHARED in err.read_text()
    reference.assert_same("same")
    assert (reference.folder / "same/metrics.json").stat().st_mode & 0o777 == 0o644
    assert len(owner.servers()) == 1


def test_evaluation_is_the_same(owner, tmp_path):
    world = World(tmp_path, items=40)
    sets = {"invented": {"split": "val", "max_tokens": 2000}}
    losses = canonical_json({"sets": sets, "resamples": 50, "seed": 1, "numerics": 1})
    tasks = canonical_json(
        {
            "suite": {"tasks": {"order4": {"version": "1", "digest": "x"}}, "limit": None},
            "numerics": 1,
        }
    )
    cell = ("--cell", world.trained)
    verbs = {
        "losses": ["--params", losses, *cell, "--validation", f"invented={world.tokens}"],
        "tasks": ["--params", tasks, *cell, "--suite", world.suite, "--tokenizer", world.tokenizer],
    }
    for kind, words in verbs.items():
        for share in ("0", "1"):
            # Kept results would be found by the second.
            shutil.rmtree(tmp_path / "state", ignore_errors=True)
            path = tmp_path / f"{kind}{share}.json"
            done = run(tmp_path, f"evaluate-{kind}", *words, "--out", path, SCALEBED_SHARE=share)
            assert done.returncode == 0, done.stderr
            assert (SHARED in done.stderr) == (share == "1")
        assert timeless(tmp_path / f"{kind}0.json") == timeless(tmp_path / f"{kind}1.json")


@pytest.mark.parametrize(
    "words",
    [
        ["--params", "{", "--dataset", "none", "--out", "x"],
        ["--params", "{}", "--colour", "red"],
        ["--help"],
    ],
    ids=["bad input", "unknown option", "help"],
)
def test_exit_status_and_words_are_those_of_the_verb(words, owner, reference):
    apart = run(reference.folder, "train-cell", *words, SCALEBED_SHARE="0")
    shared = run(reference.folder, "train-cell", *words)
    assert SHARED in shared.stderr
    assert shared.returncode == apart.returncode == (0 if words == ["--help"] else 2)
    assert shared.stdout == apart.stdout
    assert shared.stderr.splitlines()[:-1] == apart.stderr.splitlines()


def test_signals_reach_the_training_which_saves_and_exits_75(owner, reference):
    newest = ""
    for number in (signal.SIGTERM, signal.SIGINT):
        process = reference.start("signals")
        reference.wait_for_progress(process, newest)
        process.send_signal(number)
        _, err = process.communicate()
        assert process.returncode == 75, err
        assert f"{number.name}: saved after step" in err
        newest = max(path.name for path in reference.state.glob("step-*.safetensors"))
    process = reference.start("signals")
    _, err = process.communicate()
    assert "resuming after step" in err
    assert read_json(reference.folder / "signals/metrics.json")["attempts"] == 3
    reference.assert_same("signals")


def test_a_verb_without_handler_ends_the_client_by_the_same_signal(owner, reference, tmp_path):
    # A pipe that nobody writes to in place of a record: the verb waits in its first read.
    os.mkfifo(tmp_path / "metrics.json")
    assert SHARED in run(reference.folder, "evaluate-losses", "--help").stderr
    params = {"sets": {}, "resamples": 10, "seed": 0, "numerics": 1}
    words = ["evaluate-losses", "--params", json.dumps(params), "--validation", "a=none"]
    words += ["--cell", str(tmp_path / "metrics.json"), "--out", "hang.json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "scalebed", *words],
        cwd=reference.folder,
        env=environment(),
    )
    server = owner.trainer()
    wait_until(lambda: children(server))
    process.send_signal(signal.SIGTERM)
    assert process.wait() == -signal.SIGTERM
    assert not children(server)


def test_a_killed_client_leaves_no_training_and_the_next_goes_on(owner, reference):
    newest = ""
    for _ in range(2):
        process = reference.start("killed")
        reference.wait_for_progress(process, newest)
        process.kill()
        process.communicate()
        newest = max(path.name for path in reference.state.glob("step-*.safetensors"))
        assert not (reference.folder / "killed").exists()
    # At once: the lock of the state must be free before the next request is served.
    process = reference.start("killed")
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert SHARED in err
    reference.assert_same("killed")


def test_many_at_once_share_one_server(own_owner, reference):
    processes = []
    for seed in range(6):
        params = reference.short | {"cell": reference.short["cell"] | {"seed": seed % 2}}
        params["cell"]["size"] = f"s{seed}"
        out = f"many{seed}/metrics.json"
        processes.append(start_training(reference.folder, params, reference.dataset, out))
    for process in processes:
        _, err = process.communicate()
        assert process.returncode == 0, err
        assert SHARED in err
    assert len(own_owner.servers()) == 1
    digests = [sha256_file(reference.folder / f"many{i}/model.safetensors") for i in range(6)]
    assert len(set(digests)) == 2
    assert digests[0] == digests[2] == digests[4]


def test_a_server_does_not_grow(owner, reference):
    words = ["train-cell", "--params", "{", "--dataset", "none", "--out", "x"]
    run(reference.folder, *words)
    server = owner.trainer()
    before = resident_mb(server), open_files(server)
    for _ in range(10):
        assert SHARED in run(reference.folder, *words).stderr
    after = resident_mb(server), open_files(server)
    assert after[1] == before[1]
    assert after[0] - before[0] < 5
    assert after[0] < 1000


def open_files(pid: int) -> int:
    """Return the fewest open files of a moment: clients have their answer before all are closed."""
    counts = []
    for _ in range(10):
        counts.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))
        time.sleep(0.05)
    return min(counts)


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def test_the_end_of_the_owner_ends_servers_and_trainings(own_owner, reference):
    process = reference.start("orphan", "--checkpoint-seconds", "0")
    reference.wait_for_progress(process)
    own_owner.process.kill()
    _, err = process.communicate()
    assert process.returncode == 75, err
    assert "SIGTERM: saved after step" in err
    wait_until(lambda: not own_owner.servers())
    assert not own_owner.folder.exists()
    # An owner that is gone is served by nobody.
    process = reference.start("orphan")
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert SHARED not in err
    reference.assert_same("orphan")


def test_without_its_server_a_client_runs_the_verb_itself(own_owner, reference):
    process = reference.start("crash")
    reference.wait_for_progress(process)
    (server,) = own_owner.servers()
    (child,) = children(server)
    os.kill(server, signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert "resuming after step" in err
    assert SHARED not in err
    assert not Path(f"/proc/{child}").exists()
    reference.assert_same("crash")
    # The next client starts another server.
    assert SHARED in run(reference.folder, "train-cell", "--help").stderr
    assert own_owner.servers() != [server]


def test_edited_code_gets_another_server(own_owner, reference, tmp_path):
    source = tmp_path / "src"
    shutil.copytree(Path(scalebed.__file__).parent, source / "scalebed")
    about = source / "scalebed" / "__init__.py"
    words = ["train-cell", "--params", json.dumps(reference.short), "--dataset", reference.dataset]
    for version in ("0.1.0", "7.7.7"):
        about.write_text(about.read_text().replace("0.1.0", version))
        done = run(
            reference.folder, *words, "--out", f"{version}/metrics.json", PYTHONPATH=str(source)
        )
        assert done.returncode == 0, done.stderr
        assert SHARED in done.stderr
        run_record = read_json(reference.folder / version / "metrics.json")["run"]
        assert run_record["scalebed"] == version
    assert len(own_owner.servers()) == 2


def test_a_server_that_cannot_start_is_tried_once(own_owner, reference, tmp_path):
    source = tmp_path / "src"
    shutil.copytree(Path(scalebed.__file__).parent, source / "scalebed")
    broken = source / "scalebed" / "commands" / "shared_process" / "server.py"
    broken.write_text(broken.read_text().replace("gc.freeze()", "raise MemoryError"))
    for _ in range(2):
        done = run(reference.folder, "train-cell", "--help", PYTHONPATH=str(source))
        assert done.returncode == 0
        assert SHARED not in done.stderr
        assert "--dataset" in done.stdout
    (log,) = own_owner.folder.glob("*.log")
    assert log.read_text().count("\nMemoryError\n") == 1


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "1:2:3", "host", "gone", "folder"],
)
def test_what_names_no_owner_here_is_ignored(text, owner, reference, monkeypatch):
    known = lifetime.read_owner(owner.text)
    assert known is not None
    text = {
        "host": known._replace(host="elsewhere").text(),
        "gone": known._replace(started=known.started + 1).text(),
        "folder": known._replace(folder="/nowhere").text(),
    }.get(text, text)
    monkeypatch.setenv(lifetime.VARIABLE, text)
    done = run(reference.folder, "train-cell", "--help")
    assert done.returncode == 0
    assert SHARED not in done.stderr


def test_the_switch_and_other_executors_turn_it_off(monkeypatch):
    monkeypatch.setenv(lifetime.VARIABLE, "inherited")
    assert not lifetime.offer(local=False)
    assert lifetime.VARIABLE not in os.environ
    monkeypatch.setenv(lifetime.SWITCH, "0")
    assert not lifetime.offer(local=True)
    assert lifetime.VARIABLE not in os.environ


def test_only_tasks_that_need_no_network_are_shared():
    def words(tasks: dict, *more: str) -> list[str]:
        return ["evaluate-tasks", "--params", json.dumps({"suite": {"tasks": tasks}}), *more]

    local = {"order4": {"version": "1", "digest": "x"}}
    assert client._kind(words(local)) == "tasks"
    assert client._kind(words(local | {"arc": {"lm_eval": "arc_easy"}})) is None
    assert client._kind(words(local | {"arc": None})) is None
    assert client._kind(words(local, "--state", "elsewhere")) is None
    assert client._kind(["evaluate-tasks", "--params", "{"]) is None
    assert client._kind(["fit-laws"]) is None
    assert client._kind([]) is None


def test_keys_tell_environments_and_folders_apart(monkeypatch, tmp_path):
    key = protocol.server_key("train")
    assert protocol.server_key("train") == key
    assert protocol.server_key("tasks") != key
    monkeypatch.setenv("SHLVL", "7")
    assert protocol.server_key("train") == key
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    other = protocol.server_key("train")
    assert other != key
    monkeypatch.chdir(tmp_path)
    assert protocol.server_key("train") not in (key, other)


def test_a_client_imports_next_to_nothing():
    code = (
        "import sys, scalebed.commands.shared_process.client\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'yaml', 'json', 'argparse', 'logging', 'ctypes'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
