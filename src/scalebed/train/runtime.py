"""How this process computes: threads, determinism, memory, the device it may use."""

import ctypes
import fcntl
import logging
import os
import time
from pathlib import Path
from typing import IO

import torch

from scalebed.core.errors import ScalebedError

_log = logging.getLogger(__name__)
_POLL_SECONDS = 5.0
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def prepare_process(threads: int) -> None:
    """Make training in this process deterministic and lean.

    Parameters
    ----------
    threads
        CPU threads of each operator. Results are identical for equal numbers of threads.
    """
    torch.set_num_threads(threads)
    # Says the same as use_deterministic_algorithms(True), which would import the compiler: a second
    # of every short cell.
    torch.set_deterministic_debug_mode("error")
    # Filling every new array would only make reads of uninitialised memory repeatable.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # cuBLAS needs this to be deterministic; it must be set before its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Denormal numbers carry nothing here and cost a hundred cycles each.
    torch.set_flush_denormal(True)
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Let glibc reuse freed blocks instead of returning them to the system.

    Every step, and every batch of an evaluation, allocates the same activations; by default the
    larger ones are mapped and unmapped each time, which showed as over a thousand page faults a
    step. Other C libraries have no mallopt and are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)


def device_bytes(device: torch.device, sharers: int = 1) -> float:
    """Return the memory of a device; of the machine's, the part of one of `sharers` processes."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / sharers


def choose_device(
    wanted: str, folder: Path, local_rank: int | None = None
) -> tuple[torch.device, IO[str] | None]:
    """Return the device to train on, and the open lock that reserves it.

    Parameters
    ----------
    wanted
        ``cpu``, ``cuda``, ``cuda:1``, … or ``auto`` for CUDA where there is one.
    folder
        Where lock files of devices lie. Snakemake's ``gpu`` resource counts devices but assigns
        none, so without ``CUDA_VISIBLE_DEVICES`` trainers of one machine settle it by lock.
    local_rank
        Which of the visible devices is meant, for one of several processes; nothing is locked.

    Raises
    ------
    ScalebedError
        If there is no such device.
    """
    count = torch.cuda.device_count()
    if wanted == "auto":
        wanted = "cuda" if count else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise ScalebedError(f"--device is {wanted!r}, expected cpu, cuda or auto") from error
    if device.type == "cuda" and (device.index or local_rank or 0) >= count:
        raise ScalebedError(f"--device is {wanted}, but this machine has {count} CUDA devices")
    if device.type == "cuda" and local_rank is not None:
        return torch.device("cuda", local_rank), None
    if wanted != "cuda" or "CUDA_VISIBLE_DEVICES" in os.environ:
        return device, None
    index, lock = _claim_or_wait(count, folder)
    return torch.device("cuda", index), lock


def _claim_or_wait(count: int, folder: Path) -> tuple[int, IO[str]]:
    """Claim a device; where more cells are started than there are devices, wait for one."""
    told = False
    while True:
        try:
            return claim(count, folder)
        except ScalebedError as taken:
            if not told:
                _log.info("%s; waiting for one", taken)
                told = True
            time.sleep(_POLL_SECONDS)


def claim_several(wanted: int, count: int, folder: Path) -> tuple[list[int], list[IO[str]]]:
    """Lock `wanted` of `count` devices, all or none, waiting for others to let go of theirs."""
    told = False
    while True:
        indices, locks = [], []
        try:
            for _ in range(wanted):
                index, lock = claim(count, folder)
                indices.append(index)
                locks.append(lock)
            return indices, locks
        except ScalebedError as taken:
            # Holding some while waiting for more could go on for ever between two such cells.
            for lock in locks:
                lock.close()
            if not told:
                _log.info("%s; waiting for %d", taken, wanted)
                told = True
            time.sleep(_POLL_SECONDS)


def claim(count: int, folder: Path) -> tuple[int, IO[str]]:
    """Lock the first free of `count` devices; the lock ends with the file or the process.

    Raises
    ------
    ScalebedError
        If all are taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        lock = (folder / f"cuda-{index}.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return index, lock
    raise ScalebedError(f"all {count} CUDA devices are taken by other trainers ({folder})")
