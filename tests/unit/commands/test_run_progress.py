"""What a run of the workflow says on the screen."""

import io
import logging
import os
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from scalebed.commands.progress import handler as handlers
from scalebed.commands.progress import work
from scalebed.commands.progress.account import Account, Job, cell_text
from scalebed.commands.progress.work import Work
from scalebed.core.files import write_json


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def expected(tmp_path, monkeypatch):
    """Three trainings of 100, 200 and 300 FLOPs, none with a record."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(work, "EXPECTED", {})
    work.expect({"a": 100.0, "b": 200.0, "c": 300.0})


def cell(size="60k", record="metrics.json", **more):
    names = {"dataset": "red", "size": size, "ratio": "10", "recipe": "base", "seed": "0"}
    return Job("train_cell", names | more, (record, "curve.parquet"))


def test_time_left_follows_from_the_flops_done(expected, clock):
    found = Work(3, clock)
    assert found.total == 600
    assert found.left() is None
    found.begin("a")
    clock.now += 10
    assert found.left() is None
    # 100 FLOPs in 10 s: 500 are left, 50 s.
    found.end("a")
    assert found.left() == pytest.approx(50)
    # 200 more in 10 s: 300 in 20 s, so 300 are 20 s.
    found.begin("b")
    clock.now += 10
    found.end("b")
    assert found.left() == pytest.approx(20)
    # 4 s of the last at 300/24 FLOPs/s: 50 of its 300 are done, and 250 are left.
    found.begin("c")
    clock.now += 4
    assert found.left() == pytest.approx(250 / (300 / 24))


def test_what_has_a_record_is_left_out_and_what_is_stale_costs_the_mean(expected, tmp_path, clock):
    (tmp_path / "b").write_text("")
    assert Work(2, clock).total == 400
    assert Work(3, clock).total == 400 + 200


def test_a_cell_is_told_with_what_differs_from_the_usual(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_json("metrics.json", {"status": "done", "train_loss": 3.14159, "seconds": 12.2})
    assert cell_text(cell()) == "red 60k M=10: training loss 3.1416, 12 s"
    said = cell_text(cell(seed="3", recipe="fast"))
    assert said == "red 60k M=10 recipe=fast seed=3: training loss 3.1416, 12 s"
    write_json("metrics.json", {"status": "diverged", "reason": "loss is nan at step 7"})
    assert cell_text(cell()) == "red 60k M=10: diverged: loss is nan at step 7"
    for record in ("missing/metrics.json", "curve.parquet"):
        assert cell_text(cell(record=record)).endswith("over, its record cannot be read")


def test_a_run_is_counted_from_its_plan_to_its_end(tmp_path, monkeypatch, clock):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(work, "EXPECTED", {})
    write_json("metrics.json", {"status": "done", "train_loss": 3.0, "seconds": 5})
    account = Account(clock)
    stats = {"train_cell": 2, "train_trunk": 1, "fit_laws": 1, "total": 4}
    assert list(account.planned(stats)) == ["4 jobs, 2 cells to train, 1 piece of trunks"]
    account.begins(1, Job("train_trunk", {}, ("state.json",)))
    assert list(account.ends(1)) == []
    account.begins(2, cell())
    assert list(account.waits()) == []
    clock.now += 31
    assert list(account.waits()) == ["0 of 2 cells; 1 of 4 jobs; now train_cell"]
    assert list(account.waits()) == []
    (line,) = account.ends(2)
    assert line == "red 60k M=10: training loss 3.0000, 5 s  [1 of 2 cells; 2 of 4 jobs]"
    account.begins(3, cell())
    account.fails(3)
    assert account.status(running=True) == "1 of 2 cells; 2 of 4 jobs"


def settings(**more):
    usual = dict.fromkeys(("dryrun", "verbose", "debug_dag", "printshellcmds", "stdout"), False)
    return SimpleNamespace(
        **(usual | {"nocolor": True, "quiet": set(), "show_failed_logs": True} | more)
    )


def record(message, level=logging.INFO, **extra):
    made = logging.LogRecord("snakemake", level, "", 0, message, (), None)
    made.__dict__.update(extra)
    return made


def started():
    return record(
        "",
        event=LogEvent.JOB_INFO,
        **{"jobid": 5, "rule_name": "train_cell", "wildcards": cell().wildcards},
        output=["metrics.json", "curve.parquet"],
    )


def test_the_screen_has_cells_and_troubles_and_none_of_the_rest(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_json("metrics.json", {"status": "done", "train_loss": 3.0, "seconds": 5})
    handler = handlers.LogHandler(settings(), None)
    for one in (
        record("Building DAG of jobs..."),
        record("stats", event=LogEvent.RUN_INFO, stats={"train_cell": 1, "total": 9}),
        started(),
        record("Select jobs to execute..."),
        record("", event=LogEvent.JOB_FINISHED, job_id=5),
        record("a warning", logging.WARNING),
        record("Trying to restart job 5."),
        record("Complete log(s): here"),
    ):
        handler.handle(one)
    assert capsys.readouterr().err.splitlines() == [
        "9 jobs, 1 cell to train",
        "red 60k M=10: training loss 3.0000, 5 s  [1 of 1 cell; 1 of 9 jobs]",
        "a warning",
        "Trying to restart job 5.",
        "Complete log(s): here",
    ]


def test_a_failed_job_is_shown_with_its_log(capsys, tmp_path):
    log = tmp_path / "train.log"
    log.write_text("the disk is full\n")
    handler = handlers.LogHandler(settings(), None)
    handler.handle(started())
    handler.handle(
        record(
            "Error in rule train_cell",
            logging.ERROR,
            event=LogEvent.JOB_ERROR,
            **{
                "jobid": 5,
                "rule_name": "train_cell",
                "rule_msg": None,
                "input": [],
                "indent": False,
            },
            **{"output": ["metrics.json"], "log": [str(log)], "conda_env": None},
            **{"container_img": None, "shellcmd": "true", "aux": {}},
        )
    )
    said = capsys.readouterr().err
    assert "Error in rule train_cell" in said and "the disk is full" in said
    assert handler.account.jobs == {}


def test_a_full_disk_is_told_once_where_the_log_could_not_be_written(tmp_path, monkeypatch):
    files = [str(tmp_path / "logs/of/a.log"), str(tmp_path / "results/a.json")]
    assert list(handlers.full_disks(files)) == []
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=3, f_frsize=4096))
    assert list(handlers.full_disks(files)) == [
        f"The disk of {tmp_path} is full: 12,288 bytes are left."
    ]


def test_a_dry_run_says_all_that_snakemake_says(capsys):
    handler = handlers.LogHandler(settings(dryrun=True), None)
    handler.handle(record("Building DAG of jobs..."))
    handler.handle(record("This was a dry-run"))
    said = capsys.readouterr().err.splitlines()
    assert said == ["Building DAG of jobs...", "This was a dry-run"]


def test_a_terminal_has_one_last_line_that_is_written_over(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr(handlers.sys, "stderr", screen)
    handler = handlers.LogHandler(settings(), None)
    stats = {"fit_laws": 1, "total": 2}
    handler.handle(record("", event=LogEvent.RUN_INFO, stats=stats))
    handler.handle(record("", event=LogEvent.JOB_FINISHED, job_id=7))
    handler.close()
    assert screen.getvalue() == "2 jobs\n\r\x1b[K0 of 2 jobs\r\x1b[K1 of 2 jobs\r\x1b[K"
