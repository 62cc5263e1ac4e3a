"""One study that is killed again and again until it ends."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import tempfile
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, NamedTuple

import forked_snakemake
import healings
import killed
from fork_server import server
from leading import SIGNALS, lead
from processes import JOB, SERVER, VARIABLE, VERB, Process, Processes, spent

SNAKEMAKE, GROUP, EVERYTHING = "snakemake", "group", "everything"
TARGETS = {JOB: 60, VERB: 15, SERVER: 7, SNAKEMAKE: 8, GROUP: 6, EVERYTHING: 4}
"""What is killed, and how often of a hundred; `EVERYTHING` is as when the power is cut."""
CHANCE = 0.75
"""Of a start of a job to have its kill."""
CHANCES = {
    **dict.fromkeys(("plot_figure", "bundle_script", "run_check"), 0.5),
    **dict.fromkeys(("fit_laws", "seal_predictions", "judge_predictions", "explore"), 0.95),
    **dict.fromkeys(("list_cells", "check_tokens", "drop_states", "build_suite"), 0.95),
}
"""The same where what is lost took seconds, and of rules with a single job."""
STARTS = 10
"""So often a job may start with a chance to be killed; then it is let alone."""
POLL = 0.02
GONE_SECONDS = 200.0
"""So long the processes of a Snakemake that is gone may take to end: a minute each server gives
its own, and the machine may be busy."""
HANGS_SECONDS = 400.0
"""A Snakemake hangs of which no process has done anything, nor said anything, for so long."""
ALONE_SECONDS, MESSENGER_SECONDS = 0.3, 0.3
"""Processor time of a verb that imports little, and of more than a command that asks a server."""
STARTING, STARTING_SECONDS = "(starting)", 2.0
"""Stands for the rule where Snakemake is killed while it starts, which takes about so long."""
_IMPORTED = [
    "leading",
    *forked_snakemake.IMPORTED,
    *("scalebed.study.load", "scalebed.plan.rule_params", "scalebed.plan.sealing"),
    *("scalebed.checks.registry", "scalebed.checks.explore.options"),
    *("scalebed.commands.shared_process.lifetime", "scalebed.commands.progress.handler"),
]


class Plan(NamedTuple):
    """A kill that is drawn: how, and after which share of the job's usual processor time."""

    target: str
    signal: str
    share: float


def drawn(seed: int, number: int, job: str, start: int) -> Plan | None:
    """Return what is killed when a job starts for the n-th time in a round; None for nothing."""
    draw = random.Random(f"{seed} {number} {job} {start}")
    if start >= STARTS or draw.random() > CHANCES.get(rule_of(job), CHANCE):
        return None
    (target,) = draw.choices([*TARGETS], [*TARGETS.values()])
    name = "SIGKILL" if target == EVERYTHING else draw.choice(SIGNALS)
    # Some at once: the command then waits for its server, or for a process of its own.
    share = 0.0 if draw.random() < 0.15 else draw.random() * 1.05
    return Plan(target, name, share)


class Round:
    """A study in a folder; without a reference nothing is killed and nothing compared."""

    def __init__(
        self,
        root: Path,
        reference: killed.Reference | None,
        seed: int,
        number: int,
        until: float,
        log: Path,
    ) -> None:
        self.root, self.reference, self.seed, self.number = root, reference, seed, number
        self.until, self.log = until, log
        self.word = f"{os.getpid()}-{number}"
        self.processes = Processes(self.word, root)
        # Sockets lie there, so its path must be short.
        self.temporary = tempfile.TemporaryDirectory(prefix="kills-", ignore_cleanup_errors=True)
        self.starts: dict[str, int] = {}
        self.ended: killed.Stamps = {}
        self.faults: list[str] = []
        self.runs = 0
        self.kills: list[dict[str, Any]] = []

    def run(self) -> None:
        """Run and kill until the study ends, then compare."""
        if self.reference:
            self.note({"begins": self.word})
        fruitless = 0
        while fruitless < 3:
            draw = random.Random(f"{self.seed} {self.number} run {self.runs}")
            run = Run(self, draw)
            status = run.until_it_ends()
            self.kills += run.kills
            if status == 0:
                break
            fruitless = 0 if run.kills else fruitless + 1
        if status:
            self.faults.append(f"does not go on: {run.said[-2000:]}")
        elif self.reference:
            self.compare()
        if self.reference:
            self.note({"kills": len(self.kills), "runs": self.runs, "faults": self.faults})

    def compare(self) -> None:
        """Compare the study that has ended."""
        assert self.reference is not None
        if left := self.left():
            self.faults.append(f"processes are left: {left}")
        self.faults += self.reference.differences(self.root)
        again = killed.trained_again(self.root, self.ended)
        self.faults += [f"trained again: {name}" for name in again]
        sockets = Path(self.temporary.name).glob("scalebed-*")
        self.faults += [f"sockets are left: {path}" for path in sockets]
        _, said = self.snakemake("--dry-run")
        if "Nothing to be done" not in said:
            self.faults.append(f"more to be done: {said[-2000:]}")

    def left(self) -> list[str]:
        """Return what still runs after a while in which it may end."""
        began = time.monotonic()
        while left := self.processes.now():
            if time.monotonic() - began > GONE_SECONDS:
                return [" ".join(map(str, one)) for one in left]
            time.sleep(0.1)
        return []

    def note(self, line: dict[str, Any]) -> None:
        """Append a line to the log."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps({"seed": self.seed, "round": self.number, **line}) + "\n")

    def start(self, *words: str) -> tuple[Any, Path]:
        """Start Snakemake as the leader of a session; return the process and its output."""
        said = self.root / f"said-{self.runs}.txt"
        self.runs += 1
        said.touch()
        environment = healings.environment() | {VARIABLE: self.word, "TMPDIR": self.temporary.name}
        options = ("--cores", "2", "--configfile", killed.STUDY)
        options += ("--config", f"hardware={killed.HARDWARE}")
        arguments = (self.root, environment, (*words, *options), str(said))
        context: ForkServerContext = server(_IMPORTED)
        process = context.Process(target=lead, args=arguments)
        process.start()
        return process, said

    def snakemake(self, *words: str) -> tuple[int | None, str]:
        """Return exit status and output of Snakemake."""
        process, said = self.start(*words)
        process.join()
        return process.exitcode, said.read_text(encoding="utf-8")


class Run:
    """One run of Snakemake and what is killed in it."""

    def __init__(self, of: Round, draw: random.Random) -> None:
        self.of, self.draw = of, draw
        self.kills: list[dict[str, Any]] = []
        self.plans: dict[int, tuple[str, Plan, dict[str, Any]]] = {}
        self.seen: set[int] = set()
        self.hit: set[str] = set()
        self.over = False
        self.said = ""
        # With retries Snakemake itself goes on with what was killed.
        self.retries = draw.choice((0, 3, 9, 9))
        self.at_once = draw.random() < 0.3
        self.early = Plan("", "", 0.0) if draw.random() > 0.12 else self.draw_early()

    def draw_early(self) -> Plan:
        """Return a kill of Snakemake while it starts."""
        target = self.draw.choice((SNAKEMAKE, GROUP, EVERYTHING))
        name = "SIGKILL" if target == EVERYTHING else self.draw.choice(SIGNALS)
        return Plan(target, name, self.draw.random())

    def until_it_ends(self) -> int | None:
        """Run, kill, unlock, and note what came of it; return the exit status."""
        words = ["--retries", str(self.retries)] if self.retries else []
        locked = killed.locks(self.of.root)
        if locked and self.draw.random() < 0.75:
            self.unlock()
        process, said = self.of.start(*words)
        before, since = None, time.monotonic()
        while process.is_alive():
            looked = time.monotonic()
            now = self.of.processes.now()
            self.look(process.pid, now)
            doing = [(one.pid, one.seconds) for one in now], spent(process.pid), said.stat().st_size
            if doing != before:
                before, since = doing, time.monotonic()
            elif time.monotonic() - since > HANGS_SECONDS:
                self.of.faults.append(f"run {self.of.runs - 1} hangs: {now}")
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(max(POLL, 3 * (time.monotonic() - looked)))
        process.join()
        self.said = said.read_text(encoding="utf-8")
        if "--unlock" in self.said:
            self.unlock()
            return self.until_it_ends()
        self.note_end(process.exitcode)
        return process.exitcode

    def unlock(self) -> None:
        """Do what Snakemake says where it is locked."""
        status, said = self.of.snakemake("--unlock")
        if status or killed.locks(self.of.root):
            self.of.faults.append(f"not unlocked: {said[-1000:]}")

    def look(self, leader: int, now: list[Process]) -> None:
        """Draw for jobs that have started, and kill what is due."""
        if self.early.target and spent(leader) >= self.early.share * STARTING_SECONDS:
            plan, self.early = self.early, Plan("", "", 0.0)
            if self.may_kill():
                self.kill(leader, plan, Process(leader, "", STARTING, 0, 0.0), now, {})
        verbs = {one.job: one for one in now if one.kind == VERB}
        for one in now:
            if one.kind == JOB and one.job and one.pid not in self.seen:
                self.seen.add(one.pid)
                self.meet(one)
            if one.pid in self.plans:
                job, plan, facts = self.plans[one.pid]
                if self.is_due(plan, one, verbs.get(job)):
                    del self.plans[one.pid]
                    # One that is just ending has closed its log.
                    self.kill(leader, plan, one._replace(job=job), now, facts)

    def is_due(self, plan: Plan, command: Process, verb: Process | None) -> bool:
        """Tell whether a job has come as far as its plan says."""
        assert self.of.reference is not None
        usual = self.of.reference.usual.get(rule_of(command.job))
        if plan.share == 0.0:
            return True
        if usual is None:  # of a rule that shares nothing
            return command.seconds >= plan.share * ALONE_SECONDS
        if verb is not None:
            return verb.seconds >= plan.share * max(usual, 0.05)
        # A command that found no server runs the verb itself.
        return command.seconds >= max(plan.share * usual, MESSENGER_SECONDS)

    def may_kill(self) -> bool:
        """Tell whether anything is to be killed still."""
        of = self.of
        return of.reference is not None and not self.over and time.monotonic() < of.until

    def meet(self, one: Process) -> None:
        """Draw the kill of a job that has started."""
        of = self.of
        start = of.starts[one.job] = of.starts.get(one.job, -1) + 1
        plan = drawn(of.seed, of.number, one.job, start)
        if plan is not None and self.may_kill():
            self.plans[one.pid] = (one.job, plan, {"start": start})

    def kill(
        self, leader: int, plan: Plan, one: Process, now: list[Process], facts: dict[str, Any]
    ) -> None:
        """Kill, and note it."""
        of = self.of
        of.ended |= {n: s for n, s in killed.ended(of.root).items() if n not in of.ended}
        number = getattr(signal, plan.signal)
        verbs = [other for other in now if other.kind == VERB and other.job == one.job]
        servers = [other for other in now if other.kind == SERVER]
        own = [other for other in servers if verbs and other.pid == verbs[0].parent] or servers
        pids = {
            JOB: [one.pid],
            VERB: [other.pid for other in verbs],
            SERVER: [other.pid for other in own[-1:]],
            SNAKEMAKE: [leader],
            GROUP: [-leader],
            EVERYTHING: [leader, *(other.pid for other in now if other.pid != leader)],
        }[plan.target]
        if not pids:
            return
        hit = [pid for pid in pids if _sent(pid, number)]
        if not hit:
            return
        running = sorted({other.job for other in now if other.job})
        if plan.target == JOB or (plan.target == VERB and plan.signal == "SIGTERM"):
            self.hit.add(one.job)  # of all else a command is to make good itself
        self.over |= plan.target in (SNAKEMAKE, GROUP, EVERYTHING)
        said = {"target": plan.target, "signal": plan.signal, "share": round(plan.share, 3)}
        self.kills.append(
            {"rule": rule_of(one.job), "job": one.job, **said, **facts}
            | {"running": running, "run": of.runs - 1, "cells_ended": len(of.ended)}
        )

    def note_end(self, status: int | None) -> None:
        """Note every kill and what came of the run it fell into."""
        of = self.of
        began = time.monotonic()
        if of.reference and not (self.at_once and self.over) and (left := of.left()):
            of.faults.append(f"run {of.runs - 1} left processes: {left}")
        failed = re.findall(r"^Error in rule .*?^ {4}log: (\S+)", self.said, re.M | re.S)
        failed = sorted({name.removeprefix("logs/") for name in failed})
        came = {
            "status": status,
            "retries": self.retries,
            "failed": failed,
            "locked": bool(killed.locks(of.root)),
            "at_once": self.at_once,
            "gone_seconds": round(time.monotonic() - began, 2),
        }
        if of.reference:
            for kill in self.kills:
                of.note(kill | came)
            where = f"run {of.runs - 1}"
            for job in set() if self.over else set(failed) - self.hit:
                of.faults.append(f"{where}: {job} failed though nothing killed it")
            of.faults += [f"{where}: a traceback: {last}" for last in tracebacks(self.said)]


def tracebacks(said: str) -> list[str]:
    """Return the last line of each traceback; not of one of a Python that was still starting."""
    found = []
    for part in said.split("Traceback (most recent call last):\n")[1:]:
        lines = part.splitlines()
        last = next((n for n, line in enumerate(lines) if not line.startswith(" ")), len(lines))
        if any("scalebed" in line for line in lines[:last]):
            found.append(" ".join(lines[last : last + 1]) or "cut off")
    return found


def rule_of(job: str) -> str:
    """Return the rule of a job that has this log."""
    return job.partition("/")[0].removesuffix(".log")


def _sent(pid: int, number: int) -> bool:
    """Send a signal to a process, or a group by its negative number; tell whether it was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
