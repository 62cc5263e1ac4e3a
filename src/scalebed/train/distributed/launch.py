"""Starts the ranks of a cell on this machine, as torchrun does, and answers for all of them.

The agent of torchrun (``torch.distributed.elastic``) runs in this process, so that signals reach
every rank without its deadline of seconds for saving, and the exit status says what happened: 0,
2 with one sentence, or 75 when all ranks have saved their state together. ``torchrun
--nproc-per-node N -m scalebed train-cell …`` starts the same ranks, without this courtesy.
"""

import ctypes
import logging
import os
import signal
import sys
import tempfile
import uuid
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.distributed.elastic.agent.server.api import WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ErrorHandler, ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousParameters
from torch.distributed.elastic.rendezvous import registry as rendezvous

from scalebed.core.errors import ScalebedError
from scalebed.train.distributed.ranks import LOST, lost_others
from scalebed.train.interrupt import EXIT_STATUS
from scalebed.train.runtime import claim_several

_log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PARENT = "SCALEBED_LAUNCHER"
_PR_SET_PDEATHSIG = 1


def launch(words: list[str], ranks: int, device: str, state: Path) -> int:
    """Run ``python -m scalebed`` with the same words in every rank and wait for all.

    Parameters
    ----------
    words
        The words after ``scalebed``.
    ranks
        How many processes.
    device, state
        What to train on, and the root of resumable state, where devices are reserved.

    Returns
    -------
    int
        0 when the cell has its record, 75 when the ranks were interrupted and have saved.

    Raises
    ------
    ScalebedError
        If a rank failed; the others are ended too, and the state last saved is kept.
    """
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    os.environ[_PARENT] = str(os.getpid())
    locks = _reserve(ranks, device, state)
    try:
        with tempfile.TemporaryDirectory(prefix="scalebed-ranks-") as logs:
            return _run(_agent(words, ranks, logs))
    finally:
        for lock in locks:
            lock.close()


def _reserve(ranks: int, device: str, state: Path) -> list[Any]:
    """Reserve a GPU for each rank, unless a queue did, and show the ranks no others."""
    count = torch.cuda.device_count()
    if device not in ("auto", "cuda") or not count or "CUDA_VISIBLE_DEVICES" in os.environ:
        return []
    if ranks > count:
        raise ScalebedError(f"--ranks is {ranks}, but this machine has {count} CUDA devices")
    indices, locks = claim_several(ranks, count, state / "devices")
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, indices))
    return list(locks)


def _agent(words: list[str], ranks: int, logs: str) -> LocalElasticAgent:
    parameters = RendezvousParameters(
        backend="c10d",
        endpoint="127.0.0.1:0",
        run_id=uuid.uuid4().hex,
        min_nodes=1,
        max_nodes=1,
        local_addr="127.0.0.1",
        is_host=True,
    )
    spec = WorkerSpec(
        role="rank",
        local_world_size=ranks,
        entrypoint=sys.executable,
        args=("-m", "scalebed", *words),
        rdzv_handler=rendezvous.get_rendezvous_handler(parameters),
        max_restarts=0,
        monitor_interval=0.1,
        local_addr="127.0.0.1",
    )
    # The agent would raise on signals and allow the ranks half a minute; we pass them on instead.
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = "SIGQUIT"
    return LocalElasticAgent(spec, logs_specs=DefaultLogsSpecs(log_dir=logs))


class _NothingYet(BaseException):
    """A signal came before there was a rank to pass it to."""


def _run(agent: LocalElasticAgent) -> int:
    asked: list[str] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        asked.append(signal.Signals(number).name)
        workers = agent.get_worker_group().workers
        if not all(isinstance(worker.id, int) for worker in workers):
            raise _NothingYet
        for worker in workers:
            try:
                os.kill(worker.id, number)
            except ProcessLookupError:
                continue  # ended already

    before = {number: signal.signal(number, pass_on) for number in _SIGNALS}
    try:
        failures = agent.run().failures
    except _NothingYet:
        return _stopped_early(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return _verdict(failures, asked) if failures else 0


def _stopped_early(asked: list[str]) -> int:
    _log.warning("%s came before training had begun; start again to go on", asked[0])
    return EXIT_STATUS


def _verdict(failures: dict[int, ProcessFailure], asked: list[str]) -> int:
    """Return the exit status of all ranks together, or raise what the first one died of."""
    codes = {rank: failure.exitcode for rank, failure in failures.items()}
    if EXIT_STATUS in codes.values():  # they save together, so one speaks for all
        return EXIT_STATUS
    ended = (-signal.SIGTERM, -signal.SIGINT, LOST)
    causes = [rank for rank, code in sorted(codes.items()) if code not in ended]
    if asked and not causes:
        return _stopped_early(asked)
    rank = causes[0] if causes else min(codes)
    failure = failures[rank]
    if failure.exitcode < 0:
        name = signal.Signals(-failure.exitcode).name
        raise ScalebedError(
            f"rank {rank} was ended by {name}; the state saved last is kept, start again to go on"
        )
    raise ScalebedError(_said(failure) or f"rank {rank} ended with status {failure.exitcode}")


def _said(failure: ProcessFailure) -> str:
    message = failure.message
    if isinstance(message, dict):
        message = message.get("message", "")
    return str(message).removeprefix("ScalebedError: ")


def die_with_launcher() -> None:
    """Ask the kernel for SIGTERM, upon which ranks save and end, should the launcher die."""
    parent = os.environ.get(_PARENT)
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if parent is None or prctl is None:
        return
    prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != int(parent):  # it died before we asked
        os.kill(os.getpid(), signal.SIGTERM)


def failed_rank(error: Exception) -> int:
    """Leave word of an error for the launcher and return this rank's exit status."""
    if lost_others(error):
        return LOST
    ErrorHandler().record_exception(error)
    if not isinstance(error, ScalebedError):
        logging.getLogger(__name__).exception("rank %s failed", os.environ.get("RANK"))
        return 1
    return 2
