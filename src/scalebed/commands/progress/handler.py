"""The logger of Snakemake that prints what an account says, and every trouble in full."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from scalebed.commands.progress.account import Account, Job

_SHOWN: Final = (
    *("Nothing to be done", "Complete log", "Shutting down", "Terminating"),
    "Trying to restart",
)
"""How messages begin that are shown although they are no warnings."""
_TROUBLE: Final = (LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR, LogEvent.ERROR)
_LEAST_BYTES: Final = 1 << 16
_CLEAR: Final = "\r\x1b[K"


class LogHandler(LogHandlerBase):
    """Prints a line a cell and how far the run is; a dry run and ``--verbose`` say everything."""

    def __post_init__(self) -> None:
        """Set up Snakemake's own printing beside ours."""
        given = self.common_settings
        stream = sys.stdout if given.stdout else sys.stderr
        self.everything = bool(given.dryrun or given.verbose or given.debug_dag)
        self.own = ColorizingTextHandler(nocolor=given.nocolor, stream=stream)
        self.own.setFormatter(DefaultFormatter(given.quiet, given.show_failed_logs))
        self.own.addFilter(
            DefaultFilter(
                *(given.quiet, given.debug_dag, given.verbose, given.dryrun, given.printshellcmds)
            )
        )
        self.stream = stream
        self.account = Account()
        self.status = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Print what a record is worth."""
        try:
            if self.everything or _troubles(record):
                self._clear()
                self.own.handle(record)
            for line in [] if self.everything else self._lines(record):
                self._clear()
                self.stream.write(f"{line}\n")
            self._show()
        except Exception:
            self.handleError(record)

    def _lines(self, record: logging.LogRecord) -> Iterator[str]:
        event, said = getattr(record, "event", None), record.__dict__
        if event == LogEvent.RUN_INFO and not self.account.total:
            yield from self.account.planned(said["stats"])
        elif event == LogEvent.JOB_INFO:
            self.account.begins(said["jobid"], _job(said))
        elif event == LogEvent.JOB_FINISHED:
            yield from self.account.ends(said["job_id"])
        elif event == LogEvent.JOB_ERROR:
            self.account.fails(said["jobid"])
            yield from full_disks([*said["log"], *said["output"]])
        yield from self.account.waits()

    def _show(self) -> None:
        """Put how far the run is on the last line of a terminal."""
        if self.everything or not self.own.is_tty or not self.account.total:
            return
        self.status = self.account.status(running=True)
        self.stream.write(_CLEAR + self.status)
        self.stream.flush()

    def _clear(self) -> None:
        if self.status:
            self.stream.write(_CLEAR)
            self.status = ""

    def close(self) -> None:
        """Leave the last line of a terminal empty."""
        self._clear()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """It takes the place of Snakemake's own printing."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """The full log is Snakemake's own."""
        return False

    @property
    def has_filter(self) -> bool:
        """It chooses by itself."""
        return True

    @property
    def has_formatter(self) -> bool:
        """It writes by itself."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """It needs no graph."""
        return False


def full_disks(files: Iterable[str]) -> Iterator[str]:
    """Yield a line for each full disk among those of files: what a job said of it may be lost."""
    found = set()
    for file in files:
        folder = next(path for path in Path(file).absolute().parents if path.is_dir())
        disk = os.statvfs(folder)
        left = disk.f_bavail * disk.f_frsize
        if left < _LEAST_BYTES and folder.stat().st_dev not in found:
            found.add(folder.stat().st_dev)
            yield f"The disk of {folder} is full: {left:,} bytes are left."


def _job(said: dict[str, Any]) -> Job:
    return Job(
        said["rule_name"],
        {name: str(value) for name, value in dict(said["wildcards"] or {}).items()},
        tuple(map(str, said["output"])),
    )


def _troubles(record: logging.LogRecord) -> bool:
    """Whether a record is shown as Snakemake itself would."""
    if getattr(record, "event", None) in _TROUBLE or record.levelno >= logging.WARNING:
        return True
    return getattr(record, "event", None) is None and record.getMessage().startswith(_SHOWN)
