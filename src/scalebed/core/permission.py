"""Whether data may be seen more than once: a word of the study that changes no number of a cell.

It stands among the parameters of what was trained under it, so parameters that differ in it alone
are those of one run. Only what failed for want of it, or did repeat its data, is another one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json

KEY = "allow_repeats"
"""Key of the parameters; absent where it is off."""
NOT_ALLOWED = "the study does not allow repeats"
"""End of the reason of a cell that failed because its data are too few."""


def plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters without the permission."""
    return {key: value for key, value in params.items() if key != KEY}


def settled(spec: dict[str, Any], record: Any) -> dict[str, Any]:
    """Return the parameters of a run as those it was trained with, where only permission differs.

    Parameters
    ----------
    spec
        What the study says today of a cell or a piece of a trunk.
    record
        What was recorded of it; anything but a record counts as none.

    Returns
    -------
    dict
        `spec`, with the permission of the record where it made no difference.
    """
    known = record.get("params") if isinstance(record, Mapping) else None
    if not isinstance(known, Mapping) or plain(known) != plain(spec) or known == spec:
        return spec
    if KEY in spec:
        refused = str(record.get("reason") or "").endswith(NOT_ALLOWED)
        return spec if record.get("status") == "failed" and refused else plain(spec)
    epochs = record.get("epochs")
    return spec if epochs is None or epochs > 1 else spec | {KEY: True}


def as_trained(spec: dict[str, Any], record: Path) -> dict[str, Any]:
    """Return `settled` parameters by the record at a path, which may be missing or broken."""
    return settled(spec, _read(record))


def is_recorded(spec: Mapping[str, Any], record: Path) -> bool:
    """Tell whether the record at a path is of a run with these parameters, permission apart."""
    found = _read(record)
    known = found.get("params") if isinstance(found, Mapping) else None
    return isinstance(known, Mapping) and plain(known) == plain(spec)


def _read(record: Path) -> Any:
    try:
        return read_json(record) if record.is_file() else None
    except ScalebedError:
        return None
