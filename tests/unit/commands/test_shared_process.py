"""Processes shared between jobs: real servers, clients, signals and deaths.

Most tests run a copy of the package whose server imports nothing beforehand and whose
``train-cell`` runs the Python code it is given, so that they can have any verb at once.
"""

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
from scalebed.commands.rules import RULES
from scalebed.commands.shared_process import client, lifetime, server
from scalebed.core.files import read_json, sha256_file
from scalebed.core.provenance import canonical_json, state_digest

pytestmark = pytest.mark.skipif(
    not lifetime.possible(), reason="sharing is off here: no pidfd, or a GPU"
)
SHARED = "s of CPU, at most"
"""What a process that a server has forked writes to stderr in the end."""
HANG = "import time; print('begun', flush=True); time.sleep(600)"
SAVE = (
    "import signal, sys\n"
    "def save(number, frame):\n"
    "    print(signal.Signals(number).name)\n"
    "    sys.exit(75)\n"
    "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n"
    "    signal.signal(number, save)\n"
)
VERB = '''"""The first version."""
def arguments(parser):
    parser.add_argument("code")
def run(args):
    exec(args.code, {})
'''


def parents() -> dict[int, int]:
    """Return the parent of every process that has not ended."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            facts = (entry / "stat").read_text().rpartition(")")[2].split()
            if facts[0] != "Z":
                found[int(entry.name)] = int(facts[1])
    return found


def children(parent: int) -> list[int]:
    return [pid for pid, other in parents().items() if other == parent]


def wait_until(done, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


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
        self.folder = Path(self.text.partition(":")[2])

    def servers(self) -> list[int]:
        """Return the servers that work for this owner, without the processes they forked."""
        found = {}
        for pid, parent in parents().items():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_text()
                if f"server\0{self.process.pid}\0{self.folder}" in words:
                    found[pid] = parent
        return [pid for pid, parent in found.items() if parent not in found]

    def server(self) -> int:
        (pid,) = self.servers()
        return pid

    def end(self) -> None:
        self.process.communicate()
        wait_until(lambda: not self.servers())
        assert not self.folder.exists()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give all clients the environment that a server is for."""
    monkeypatch.delenv(lifetime.SWITCH, raising=False)
    # `start_training` and torch set these.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "none")
    # So does Snakemake for jobs of one thread; a server with more threads would not serve.
    for name in ("OMP", "OPENBLAS", "MKL"):
        monkeypatch.setenv(f"{name}_NUM_THREADS", "1")


@pytest.fixture
def own_owner(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Owner]:
    """Return an owner for one test, to be treated badly."""
    found = Owner()
    monkeypatch.setenv(lifetime.VARIABLE, found.text)
    yield found
    found.end()


@pytest.fixture(scope="module")
def one_owner() -> Iterator[Owner]:
    found = Owner()
    yield found
    found.end()


@pytest.fixture
def owner(one_owner: Owner, environment: None, monkeypatch: pytest.MonkeyPatch) -> Owner:
    """Return the owner whose server many tests share."""
    monkeypatch.setenv(lifetime.VARIABLE, one_owner.text)
    return one_owner


class Copy:
    """A copy of the package that may be edited; jobs run in the folder around it."""

    def __init__(self, folder: Path, package: Path) -> None:
        self.folder = folder
        self.package = folder / "scalebed"
        shutil.copytree(package, self.package)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.package / "commands" / file
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    def edit_server(self, old: str, new: str) -> None:
        self.edit("shared_process/server.py", old, new)

    def start(self, code: str, *before: str) -> subprocess.Popen[str]:
        # pytest notes the running test there; a server is for one environment.
        environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
        return subprocess.Popen(
            [*before, sys.executable, "-m", "scalebed", "train-cell", code],
            cwd=self.folder,
            env=environment | {"PYTHONPATH": str(self.folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def begin(self, code: str, *before: str) -> subprocess.Popen[str]:
        """Start code that prints a line when it has begun; return after that."""
        process = self.start(code, *before)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        return process

    def run(self, code: str, text: str = "") -> tuple[int, str, str]:
        process = self.start(code)
        out, err = process.communicate(text)
        return process.returncode, out, err


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    found = Copy(tmp_path_factory.mktemp("light"), Path(scalebed.__file__).parent)
    (found.package / "commands" / "train_cell.py").write_text(VERB)
    found.edit_server("_MODULES[kind]", "()")
    return found


@pytest.fixture
def copy(light: Copy, tmp_path: Path) -> Copy:
    """Return a copy for one test to edit."""
    return Copy(tmp_path, light.package)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import sys; print(sys.stdin.read()); sys.stderr.write('a word\\n')", 0),
        ("import atexit; atexit.register(print, 'last')", 0),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit(300)", 300 & 0xFF),
        ("raise KeyError('x')", 1),
        ("from scalebed.core.errors import ScalebedError; raise ScalebedError('bad')", 2),
        ("import os, sys; print(os.getcwd(), sorted(os.environ.items()), sys.path)", 0),
        ("import signal as s; print([s.getsignal(n) for n in (1, 2, 3, 13, 15)])", 0),
        ("import signal as s; print(s.pthread_sigmask(s.SIG_BLOCK, ()))", 0),
        ("--help", 0),
        ("--colour", 2),
    ],
)
def test_a_verb_does_and_ends_as_in_a_process_of_its_own(code, status, owner, light, monkeypatch):
    shared = light.run(code, "read this\n")
    monkeypatch.delenv(lifetime.VARIABLE)
    apart = light.run(code, "read this\n")
    assert shared[:2] == apart[:2]
    assert shared[0] == status
    *told, report = shared[2].splitlines()
    assert SHARED in report
    assert told[-1:] == apart[2].splitlines()[-1:]


def test_a_process_passes_on_its_standard_files_only(owner, light):
    other = light.begin(HANG)
    _, out, _ = light.run("import os; os.system('ls /proc/self/fd')")
    assert out.split() == ["0", "1", "2", "3"]  # the last is that folder
    other.kill()
    other.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_reach_the_process(number, owner, light):
    process = light.begin(SAVE + HANG)
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 75, err
    assert out == f"{number.name}\n"
    assert SHARED in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_process_without_handler_ends_its_client_by_the_same_signal(number, owner, light):
    process = light.begin(f"import resource as r; r.setrlimit(r.RLIMIT_CORE, (0, 0)); {HANG}")
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == -number
    assert ("interrupted" in err) == (number == signal.SIGINT)
    assert "Traceback" not in err
    wait_until(lambda: not children(owner.server()))


def test_a_signal_before_there_is_a_process_waits_for_it(own_owner, copy):
    copy.edit_server("    left = serve(", "    import time; time.sleep(1); left = serve(")
    process = copy.start(SAVE + "print('begun'); sys.exit()")
    wait_until(own_owner.servers)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == -signal.SIGTERM


def test_a_signal_that_is_ignored_stays_so(owner, light):
    process = light.begin("import sys; print('begun', flush=True); sys.stdin.read()", "nohup")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.1)
    process.communicate()
    assert process.returncode == 0


def test_a_killed_client_leaves_no_process(owner, light):
    process = light.begin(SAVE + HANG)
    (child,) = children(owner.server())
    process.kill()
    # The next is served only when the process of the one before is gone.
    assert light.run(f"import os; print(os.path.exists('/proc/{child}'))")[1] == "False\n"
    process.communicate()


def test_a_client_killed_before_it_is_served_leaves_no_process(own_owner, copy):
    copy.edit_server("    left = serve(", "    import time; time.sleep(1); left = serve(")
    process = copy.start("open('here', 'w')")
    wait_until(own_owner.servers)
    process.kill()
    process.communicate()
    assert SHARED in copy.run("pass")[2]
    assert not (copy.folder / "here").exists()


def test_a_process_whose_client_was_killed_ends_without_a_word():
    code = """if True:
        import marshal, os, socket
        from scalebed.commands.shared_process import server
        client, its_end = socket.socketpair()
        reading, answer = os.pipe()
        socket.send_fds(client, [marshal.dumps(["--version"])], [0, 1, 2, answer])
        os.close(answer)
        os.close(reading)
        server._become_command(its_end)
    """
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("victim", ["process", "server"])
def test_a_verb_that_was_killed_is_run_by_the_client(victim, own_owner, light):
    process = light.begin(HANG)
    server = own_owner.server()
    (child,) = children(server)
    os.kill(server if victim == "server" else child, signal.SIGKILL)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    # The kernel has killed it with the server; where cores are busy it goes a little later.
    wait_until(lambda: child not in parents())
    process.terminate()
    process.communicate()
    assert process.returncode == -signal.SIGTERM
    # A server that has died has no successor.
    status, _, err = light.run("pass")
    assert status == 0
    assert (SHARED in err) == (victim == "process")


def test_the_end_of_the_owner_ends_servers_and_processes(own_owner, copy):
    copy.edit_server("grace_seconds: float = 60.0", "grace_seconds: float = 0.5")
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    started = [copy.begin(before + HANG) for before in (SAVE, ignore, "")]
    processes = children(own_owner.server())
    assert len(processes) == 3
    own_owner.process.kill()
    for process in started:
        process.communicate()
    assert [process.returncode for process in started] == [75, -signal.SIGTERM, -signal.SIGTERM]
    wait_until(lambda: not own_owner.servers())
    # The kernel kills what a server leaves, and a busy machine takes a moment to end it.
    wait_until(lambda: not parents().keys() & set(processes))
    assert not own_owner.folder.exists()
    # An owner that is gone is served by nobody.
    status, _, err = copy.run("pass")
    assert status == 0
    assert SHARED not in err


def test_a_server_that_nobody_asks_ends_and_has_a_successor(own_owner, copy):
    copy.edit_server("idle_seconds: float = 60.0", "idle_seconds: float = 0.2")
    # A process may take longer.
    assert SHARED in copy.run("import time; time.sleep(0.5)")[2]
    wait_until(lambda: not own_owner.servers())
    assert not [path for path in own_owner.folder.iterdir() if path.suffix != ".log"]
    assert SHARED in copy.run("pass")[2]


def test_many_at_once_share_one_server(own_owner, light):
    started = [light.start(f"print({i})") for i in range(8)]
    for i, process in enumerate(started):
        out, err = process.communicate()
        assert (process.returncode, out) == (0, f"{i}\n"), err
        assert SHARED in err
    assert own_owner.server()


def test_a_server_does_not_grow(owner, light):
    light.run("pass")
    server = owner.server()
    before = resident_mb(server), open_files(server)
    for _ in range(10):
        assert SHARED in light.run("pass")[2]
    after = resident_mb(server), open_files(server)
    assert after[1] == before[1]
    assert after[0] - before[0] < 2


def open_files(pid: int) -> int:
    """Return the fewest open files of a moment: clients have their answer before all are closed."""
    counts = []
    for _ in range(10):
        counts.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))
        time.sleep(0.02)
    return min(counts)


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def test_edited_code_gets_another_server(own_owner, copy):
    for version in ("The first version.", "Another version."):
        copy.edit("train_cell.py", "The first version.", version)
        status, out, err = copy.run("--help")
        assert status == 0
        assert version in out
        assert SHARED in err
    assert len(own_owner.servers()) == 2


@pytest.mark.parametrize(
    ("trouble", "reason", "servers"),
    [
        ("raise MemoryError", "\nMemoryError\n", 1),
        ("import threading; threading.Timer(1, int).start()", "2 threads after the imports", 1),
        ("Path(__file__).touch()", "the code was edited while", 2),  # whose key is another
    ],
)
def test_a_server_that_cannot_serve_is_tried_once(trouble, reason, servers, own_owner, copy):
    copy.edit_server("gc.freeze()", trouble)
    for number in range(2):
        status, out, err = copy.run(f"print({number})")
        assert (status, out) == (0, f"{number}\n")
        assert SHARED not in err
    logs = list(own_owner.folder.glob("*.log"))
    assert len(logs) == servers
    # Where cores are busy a client goes on alone before its server has got so far.
    wait_until(lambda: all(reason in path.read_text() for path in logs))


@pytest.mark.parametrize("text", ["", "nonsense", "1:2:3", "gone", "no folder"])
def test_what_names_no_owner_here_is_ignored(text, own_owner, light, monkeypatch):
    ended = subprocess.Popen(["true"])
    ended.wait()
    text = {"gone": f"{ended.pid}:{own_owner.folder}", "no folder": "1:/nowhere"}.get(text, text)
    monkeypatch.setenv(lifetime.VARIABLE, text)
    status, out, err = light.run("print('here')")
    assert (status, out) == (0, "here\n")
    assert SHARED not in err


def test_the_switch_turns_it_off(own_owner, light, monkeypatch):
    monkeypatch.setenv(lifetime.SWITCH, "0")
    assert SHARED not in light.run("pass")[2]
    assert not own_owner.servers()


def test_the_switch_and_other_executors_offer_nothing(monkeypatch):
    monkeypatch.setenv(lifetime.VARIABLE, "inherited")
    assert not lifetime.offer(local=False)
    assert lifetime.VARIABLE not in os.environ
    monkeypatch.setenv(lifetime.SWITCH, "0")
    assert not lifetime.offer(local=True)
    assert lifetime.VARIABLE not in os.environ


def test_sockets_lie_in_a_folder_of_the_user_alone(monkeypatch, tmp_path):
    monkeypatch.setenv(lifetime.VARIABLE, "inherited")
    monkeypatch.setenv(lifetime.SWITCH, "1")
    monkeypatch.setattr(lifetime, "possible", lambda: True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert lifetime.offer(local=True)
    folder = Path(os.environ[lifetime.VARIABLE].partition(":")[2])
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_uid == os.getuid()


def test_the_folder_of_a_main_process_that_was_killed_goes_with_the_next(monkeypatch, tmp_path):
    code = (
        "import os; from scalebed.commands.shared_process.lifetime import offer, VARIABLE\n"
        "offer(True); print(os.environ[VARIABLE].partition(':')[2]); os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.setenv(lifetime.SWITCH, "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert Path(done.stdout.strip()).is_dir()
    # Of another version, or of a main process that lives.
    other = tmp_path / "scalebed-01234567"
    other.mkdir()
    monkeypatch.setattr(lifetime, "possible", lambda: True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folders = []
    for _ in range(2):
        assert lifetime.offer(local=True)
        folders.append(Path(os.environ[lifetime.VARIABLE].partition(":")[2]))
    assert set(tmp_path.iterdir()) == {other, *folders}


@pytest.mark.parametrize("devices", [["kfd"], ["nvidiactl", "nvidia0"], []])
def test_nothing_is_shared_beside_a_gpu(devices, monkeypatch):
    assert lifetime.possible()
    monkeypatch.setattr(os, "listdir", lambda _: devices)
    assert not lifetime.possible()


def test_only_tasks_that_need_no_network_are_shared():
    def words(tasks: dict, *more: str) -> list[str]:
        return ["evaluate-tasks", "--params", json.dumps({"suite": {"tasks": tasks}}), *more]

    local = {"order4": {"version": "1", "digest": "x"}}
    assert client._kind(words(local)) == "tasks"
    assert client._kind(words(local | {"arc": {"lm_eval": "arc_easy"}})) is None
    assert client._kind(words(local | {"arc": None})) is None
    assert client._kind(words(local, "--state", "elsewhere")) is None
    assert client._kind(["evaluate-tasks", "--params", "{"]) is None
    assert client._kind([]) is None


def test_a_check_on_several_cores_has_a_process_of_its_own():
    words = ["run-check", "tournament", "study", "--out", "x", "--threads"]
    assert client._kind([*words, "1"]) == "analysis"
    assert client._kind([*words, "2"]) is None
    assert client._kind(["plot-figure", "--figure", "x"]) == "analysis"


def test_verbs_of_rules_are_shared_unless_they_import_little_or_wait_for_a_network():
    apart = {"check-tokens", "list-cells", "fetch-testbed"}
    assert set(RULES) - set(client._KINDS) == apart
    assert set(client._KINDS) <= set(RULES)
    assert set(client._KINDS.values()) == set(server._MODULES)


def test_a_server_is_for_one_environment_and_folder(monkeypatch, tmp_path):
    path = client.socket_path("/f", "train")
    assert len(os.fsencode(path)) < 40  # the path of a socket has 107 bytes at the most
    assert client.socket_path("/f", "train") == path
    assert client.socket_path("/f", "tasks") != path
    monkeypatch.setenv("SHLVL", "7")
    assert client.socket_path("/f", "train") == path
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    other = client.socket_path("/f", "train")
    assert other != path
    monkeypatch.chdir(tmp_path)
    assert client.socket_path("/f", "train") not in (path, other)


def test_a_client_imports_next_to_nothing():
    code = (
        "import sys, scalebed.commands.shared_process.client\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'yaml', 'json', 'argparse', 'logging', 'ctypes'}\n"
        "heavy |= {'typing', 'pathlib', 'subprocess', 'tempfile', 'multiprocessing'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Reference:
    """A cell trained in a process of its own; `folder` is where all jobs run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dataset = make_dataset(folder, 30_000)
        self.params = make_params(steps=300)
        process = self.start("apart")
        _, err = process.communicate()
        assert process.returncode == 0, err
        assert SHARED not in err

    def start(self, out: str) -> subprocess.Popen[str]:
        return start_training(self.folder, self.params, self.dataset, f"{out}/metrics.json")

    @property
    def state(self) -> Path:
        cell = "/".join(f"{key}={value}" for key, value in self.params["cell"].items())
        return self.folder / "state" / cell / state_digest(self.params, sha256_file(self.dataset))

    def assert_same(self, out: str) -> None:
        ours, theirs = self.folder / out, self.folder / "apart"
        for name in ("model.safetensors", "model.json", "curve.parquet"):
            assert (ours / name).read_bytes() == (theirs / name).read_bytes()
        assert timeless(ours / "metrics.json") == timeless(theirs / "metrics.json")

    def wait_for_progress(self, process: subprocess.Popen[str]) -> None:
        def newest() -> str:
            assert process.poll() is None, process.communicate()[1]
            return max((path.name for path in self.state.glob("step-*.safetensors")), default="")

        since = newest()
        wait_until(lambda: newest() > since)


def timeless(path: Path) -> dict:
    record = read_json(path)
    for key in ("seconds", "wall_seconds", "tokens_per_second", "run", "attempts", "peak_bytes"):
        record.pop(key, None)
    return record


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for all that runs with the real modules, as servers are for one folder."""
    return tmp_path_factory.mktemp("jobs")


def test_training_is_the_same_saves_on_signals_and_goes_on(owner, jobs, monkeypatch):
    monkeypatch.delenv(lifetime.VARIABLE)
    reference = Reference(jobs)
    shutil.rmtree(jobs / "state")  # where a finished cell would be found
    monkeypatch.setenv(lifetime.VARIABLE, owner.text)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        process = reference.start("shared")
        reference.wait_for_progress(process)
        process.send_signal(number)
        _, err = process.communicate()
        if number != signal.SIGKILL:
            assert process.returncode == 75, err
            assert f"{number.name}: saved after step" in err
        assert not (jobs / "shared").exists()
    # At once: the lock of the state must be free before the next request is served.
    process = reference.start("shared")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "resuming after step" in err
    assert "step 300/300" in err
    assert SHARED in err
    assert out == ""
    assert read_json(jobs / "shared/metrics.json")["attempts"] == 4
    reference.assert_same("shared")
    assert (jobs / "shared/metrics.json").stat().st_mode & 0o777 == 0o644


def test_evaluation_is_the_same(owner, jobs):
    world = World(jobs / "world", items=40)
    sets = {"invented": {"split": "val", "max_tokens": 2000}}
    losses = canonical_json({"sets": sets, "resamples": 50, "seed": 1, "numerics": 1})
    suite = {"tasks": {"order4": {"version": "1", "digest": "x"}}, "limit": None}
    tasks = canonical_json({"suite": suite, "numerics": 1})
    verbs = {
        "losses": ["--params", losses, "--validation", f"invented={world.tokens}"],
        "tasks": ["--params", tasks, "--suite", world.suite, "--tokenizer", world.tokenizer],
    }
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    for kind, more in verbs.items():
        # That of the second is the server that trained, as its environment is the same.
        for share, switch in (("0", {lifetime.SWITCH: "0"}), ("1", {})):
            # Kept results would be found by the second.
            shutil.rmtree(jobs / "state", ignore_errors=True)
            out = jobs / f"{kind}{share}.json"
            words = [f"evaluate-{kind}", *more, "--cell", world.trained, "--out", out]
            done = subprocess.run(
                [sys.executable, "-m", "scalebed", *words],
                cwd=jobs,
                env=environment | switch,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert (SHARED in done.stderr) == (share == "1")
        assert timeless(jobs / f"{kind}0.json") == timeless(jobs / f"{kind}1.json")
