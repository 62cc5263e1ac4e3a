"""A Slurm of one node on this machine alone: munge, slurmctld and slurmd, all on 127.0.0.1.

Run as a script it starts one, prints how to use it, and stops it on Ctrl-C.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MARK = "# Written by scalebed's tests for a Slurm on this machine alone."
ETC = Path("/etc/slurm")
DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")

# More CPUs than there are, so that waiting jobs do not stand in the way of others; no cgroups and
# no accounting, which a container has not got.
CONFIG = """\
ClusterName=scalebed
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=256
JobRequeue=1
KillWait=5
MinJobAge=7200
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=32 RealMemory=64000 Gres=gpu:a100:8 \
Features=rack1,rack2,nvlink State=UNKNOWN
PartitionName=short Nodes={host} Default=YES MaxTime=60 State=UP
PartitionName=long Nodes={host} MaxTime=600 State=UP
PartitionName=gpu-short Nodes={host} MaxTime=60 State=UP
PartitionName=gpu-long Nodes={host} MaxTime=600 State=UP
"""
GRES = "NodeName={host} Name=gpu Type=a100 File={folder}/gpu[0-7]\n"


def missing() -> str | None:
    """Return why no cluster can be started here; None if one can."""
    absent = [name for name in (*DAEMONS, *CLIENTS) if not _program(name)]
    if absent:
        return (
            f"{', '.join(absent)} not installed (Debian: apt-get install slurmctld slurmd "
            "slurm-client munge)"
        )
    if os.geteuid() != 0:
        return "starting slurmd needs root"
    if "SLURM_CONF" in os.environ or "SLURM_JOB_ID" in os.environ:
        return "this machine belongs to a Slurm already (SLURM_CONF or SLURM_JOB_ID is set)"
    for path in (ETC / "slurm.conf", Path("/etc/slurm-llnl/slurm.conf")):
        if os.path.lexists(path) and not _left_over(path):
            return f"this machine belongs to a Slurm already ({path} is there)"
    return None


def _program(name: str) -> str | None:
    """Return the path of a program; daemons lie where only root looks."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _left_over(path: Path) -> bool:
    """Tell whether a configuration is a link that tests left which were killed."""
    return path.is_symlink() and "scalebed-slurm" in str(path.readlink()) and not path.exists()


class Cluster:
    """A running Slurm; see `cluster`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = socket.gethostname().partition(".")[0]
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Write the configuration and start the daemons; the node is idle afterwards."""
        self._write()
        self._daemon("munged", "--foreground", *self._munge())
        self._wait(lambda: (self.folder / "munge.socket").exists(), "munged does not listen")
        self._daemon("slurmctld", "-D", "-f", str(ETC / "slurm.conf"))
        self._daemon("slurmd", "-D", "-f", str(ETC / "slurm.conf"))
        self._wait(lambda: self.node_state() == "idle", "the node does not become idle")

    def stop(self) -> None:
        """Cancel all jobs and end the daemons that `start` started."""
        if self._daemons:
            with contextlib.suppress(subprocess.SubprocessError):
                self.call("scancel", "--user", "root")
                self.call("scontrol", "update", f"NodeName={self.host}", "State=RESUME")
                self._wait(lambda: not self.call("squeue", "-h"), "jobs do not end", 20)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()

    def call(self, *words: str) -> str:
        """Return what a Slurm command prints."""
        result = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
        return result.stdout.strip()

    def node_state(self) -> str:
        """Return the state of the node, such as ``idle`` or ``drained``; empty if unknown."""
        try:
            return self.call("sinfo", "-h", "-p", "short", "-o", "%T").rstrip("*")
        except subprocess.SubprocessError:
            return ""

    def jobs(self, rule: str, state: str = "RUNNING") -> list[str]:
        """Return the ids of the jobs of a rule that are in a state.

        The plugin notes the rule in the comment of a job.
        """
        rows = self.call("squeue", "-h", "-t", state, "-o", "%i|%k").splitlines()
        return [row.partition("|")[0] for row in rows if rule in row.partition("|")[2]]

    def details(self) -> list[dict[str, str]]:
        """Return what ``scontrol`` shows of every job, the rule of which is in its comment."""
        rows = self.call("scontrol", "--oneliner", "show", "job").splitlines()
        return [dict(re.findall(r"(\w+)=(\S*)", row)) for row in rows]

    def note_submissions(self, folder: Path) -> Path:
        """Put an ``sbatch`` into a folder that writes down its words; return where.

        Without an accounting database the controller forgets the QOS of a job.
        """
        folder.mkdir()
        notes = folder / "submitted.txt"
        script = folder / "sbatch"
        real = shutil.which("sbatch")
        script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {notes}\nexec {real} "$@"\n')
        script.chmod(0o755)
        return notes

    def reserve(self, name: str) -> None:
        """Reserve the node for who runs the tests."""
        words = [f"ReservationName={name}", "Users=root", f"Nodes={self.host}"]
        self.call("scontrol", "create", "reservation", *words, "StartTime=now", "Duration=600")

    def release(self, name: str) -> None:
        """Give the node back to everybody."""
        self.call("scontrol", "delete", f"ReservationName={name}")

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        for index in range(8):
            (self.folder / f"gpu{index}").touch()
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        controller, node = _free_ports(2)
        names = {"host": self.host, "folder": self.folder, "controller": controller, "node": node}
        (self.folder / "slurm.conf").write_text(f"{MARK}\n{CONFIG.format(**names)}")
        (self.folder / "gres.conf").write_text(f"{MARK}\n{GRES.format(**names)}")

    def _munge(self) -> list[str]:
        names = ("key-file", "socket", "pid-file", "log-file", "seed-file")
        return [f"--{name}={self.folder}/munge.{name.partition('-')[0]}" for name in names]

    def _daemon(self, name: str, *words: str) -> None:
        program = _program(name)
        assert program is not None
        with (self.folder / f"{name}.out").open("wb") as log:
            # A session of their own, so that Ctrl-C reaches the tests and not the daemons.
            daemon = subprocess.Popen(
                [program, *words], stdout=log, stderr=log, start_new_session=True
            )
        self._daemons.append(daemon)

    def _wait(self, ready: Callable[[], object], complaint: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                logs = [path.read_text(errors="replace")[-2000:] for path in self._logs()]
                raise RuntimeError("\n".join([complaint, *logs]))
            time.sleep(0.2)

    def _logs(self) -> list[Path]:
        return sorted(self.folder.glob("*.out"))


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Yield a running cluster, and take everything back afterwards.

    Slurm's commands and the jobs find it by /etc/slurm, which is where the executor plugin looks
    as well: it removes SLURM_CONF from the environment of jobs.
    """
    folder = Path(tempfile.mkdtemp(prefix="scalebed-slurm-"))
    made = not ETC.exists()
    ETC.mkdir(exist_ok=True)
    links = [ETC / "slurm.conf", ETC / "gres.conf"]
    running = Cluster(folder)
    # A terminated test run takes everything back as well.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for link in links:
            if _left_over(link):
                link.unlink()
            link.symlink_to(folder / link.name)
        running.start()
        yield running
    finally:
        running.stop()
        signal.signal(signal.SIGTERM, before)
        for link in links:
            if link.is_symlink() and link.readlink().parent == folder:
                link.unlink()
        if made:
            ETC.rmdir()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Run a cluster until interrupted."""
    if reason := missing():
        raise SystemExit(f"cannot start Slurm: {reason}")
    with contextlib.suppress(KeyboardInterrupt), cluster() as running:
        print(f"Slurm runs on {running.host} (files in {running.folder}); Ctrl-C stops it.")
        signal.pause()


if __name__ == "__main__":
    main()
