"""The record of a finished cell, kept where its state was.

Snakemake removes the declared outputs of a job before it starts and when it fails, and with them
those of every job in its group. A trainer may also start for a cell that another one is just
finishing: a queued job of a run whose driver was killed, say. The weights are not declared, so
they survive; with the record beside the state, named by everything that defines the cell, training
is not repeated for the sake of two small files.
"""

import logging
import shutil
from pathlib import Path

from scalebed.core.digests import digest_path, intact
from scalebed.core.errors import ScalebedError
from scalebed.core.files import atomic_path, read_json, sha256_file
from scalebed.model.saved import CONFIG, WEIGHTS
from scalebed.train.checkpoint import LOCK

_log = logging.getLogger(__name__)
_CURVE = "curve.parquet"
_RECORD = "metrics.json"


def keep(state: Path, out: Path) -> None:
    """Keep the record `out` of a finished cell, and its curve, in place of its checkpoints.

    Parameters
    ----------
    state
        Folder of the cell's state, locked.
    out
        metrics.json of the cell.

    Raises
    ------
    ScalebedError
        If they cannot be written.
    """
    copy(out.parent / _CURVE, state / _CURVE)
    copy(out, state / _RECORD)
    _clear(state)


def _clear(state: Path) -> None:
    """Remove all but the record that is kept."""
    kept = [state / name for name in (_CURVE, _RECORD)]
    kept += [state / LOCK, *map(digest_path, kept)]
    # The count of attempts goes too: should the weights be lost, training starts anew.
    for path in state.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path not in kept:
            path.unlink()


def restore(state: Path, out: Path) -> bool:
    """Put the record of a finished cell back, if there is one and its weights are there.

    Parameters
    ----------
    state
        Folder of the cell's state, locked. Its name is a digest of all that defines the cell.
    out
        metrics.json of the cell.

    Returns
    -------
    bool
        Whether there is nothing left to train.

    Raises
    ------
    ScalebedError
        If the files cannot be written.
    """
    weights = out.parent / WEIGHTS
    files = (state / _RECORD, state / _CURVE, weights, out.parent / CONFIG)
    if not all(path.is_file() for path in files):
        return False
    try:
        expected = read_json(state / _RECORD)["weights_sha256"]
        intact(state / _CURVE)
        intact(out.parent / CONFIG)
    except (ScalebedError, KeyError, TypeError):
        return False  # damaged: training again is the remedy
    if sha256_file(weights) != expected:
        return False  # of another recipe, or damaged
    copy(state / _CURVE, out.parent / _CURVE)
    copy(state / _RECORD, out)
    _clear(state)  # whoever kept the record may have been killed over it
    _log.info("%s: trained already, its record is put back", out.parent)
    return True


def copy(source: Path, target: Path) -> None:
    """Copy a file, which appears whole or not at all.

    Raises
    ------
    ScalebedError
        If `source` is not what was written, or `target` cannot be written.
    """
    with atomic_path(target) as temporary:
        shutil.copyfile(intact(source), temporary)
