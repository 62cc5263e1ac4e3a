"""Drop the states of trunks that no study lists any more.

A state goes only if no study lists it, and its trunk is locked for as long: one that is being
trained is left alone, and one that begins to train meanwhile waits. Links are never followed.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, write_json
from scalebed.core.trunk_files import list_states, listed_states, size_of, state_folders
from scalebed.core.trunks import RECORD, Trunk
from scalebed.train.checkpoint import LOCK, open_state

_TRUNKS = "trunks"


def drop_states(
    params: dict[str, Any], trunks: Path, studies: Path, out: Path, state: Path = Path("state")
) -> None:
    """List the states that a finished study keeps, and drop those that no study lists.

    Parameters
    ----------
    params
        ``{"study", "states"}``: its name, and the steps of the states it keeps by trunk.
    trunks
        ``results/trunks``.
    studies
        ``results/studies``.
    out
        Record of what was dropped.
    state
        Root of resumable state, where the locks of trunks lie.

    Raises
    ------
    ScalebedError
        If a list of some study cannot be read, or the record not be written.
    """
    list_states(studies / params["study"], params["states"])
    listed = listed_states(studies)
    dropped, busy, freed = [], [], 0
    for folder in state_folders(trunks):
        path = folder.relative_to(trunks).as_posix()
        if path in listed:
            continue
        size = size_of(folder)
        if _drop(folder, trunks, state / _TRUNKS):
            dropped.append(path)
            freed += size
        else:
            busy.append(path)
    write_json(out, {"dropped": dropped, "left_while_training": busy, "bytes": freed})


def _drop(folder: Path, trunks: Path, locks: Path) -> bool:
    """Remove a state and the folders above it that are empty then; tell whether it was free."""
    with contextlib.ExitStack() as stack:
        try:
            for lock in _locks(folder, locks / folder.parent.relative_to(trunks)):
                stack.enter_context(_locked(lock))
        except ScalebedError:
            return False
        # The record first: what is half gone must not look whole.
        (folder / RECORD).unlink(missing_ok=True)
        shutil.rmtree(folder)
    with contextlib.suppress(OSError):  # "not empty"
        for parent in list(folder.parents)[: len(Trunk._fields)]:
            parent.rmdir()
    return True


def _locks(folder: Path, trunk: Path) -> list[Path]:
    """Return the folders whose locks say that a trunk is being trained, on whichever data."""
    found = {path for path in trunk.glob("*") if path.is_dir()}
    # Without a record nobody says which lock it is.
    with contextlib.suppress(ScalebedError, KeyError, TypeError):
        kin = str(read_json(folder / RECORD)["lineage"])
        if kin.isalnum():
            found.add(trunk / kin)
    return sorted(found)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a trunk; a folder that holds nothing else goes again."""
    with open_state(path) as held:
        yield
        if {file.name for file in path.iterdir()} == {LOCK}:
            held.discard()
