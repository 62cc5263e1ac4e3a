"""Snakemake as the leader of a session, in a process forked from one that has imported it.

Such a process imports this module, so it imports little.
"""

import ctypes
import os
import signal
from pathlib import Path

import forked_snakemake

_PR_SET_PDEATHSIG = 1
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")


def lead(folder: Path, environment: dict[str, str], words: tuple[str, ...], said: str) -> None:
    """Be Snakemake with these words."""
    os.setsid()
    # Should the campaign end, so does what it was forked from, and with it this.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # As in a shell: whoever started the campaign may ignore some.
    for name in SIGNALS[1:]:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    forked_snakemake.run(folder, environment, words, said)
