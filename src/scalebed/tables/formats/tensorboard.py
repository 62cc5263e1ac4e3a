"""Scalars of TensorBoard event files, ``events.out.tfevents.*``, one folder a run.

A file is a sequence of records: length (uint64), its masked CRC-32C, the data, the CRC of the data.
The data are protocol buffers, ``Event``; of these are read the step (2) and of the summary (5)
every value (1) with its tag (1) and number: a simple value (2), or a tensor (8) of one float or
double.
Lengths are checked by their CRC; a record that is cut off ends its file.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow

from scalebed.core.errors import ScalebedError
from scalebed.tables.formats.histories import History, check_options, loss_of, rows_of
from scalebed.tables.formats.rows import Rows

_FILES: Final = "*tfevents*"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_POLYNOMIAL: Final = 0x82F63B78
_FLOAT, _DOUBLE = 1, 2
Fields = dict[int, list[Any]]
Scalars = dict[str, dict[int, float]]


def recognises(path: Path, columns: Sequence[str]) -> bool:
    """Whether a path is an event file, or a folder with one somewhere below it."""
    if path.is_dir():
        return any(path.rglob(_FILES))
    return "tfevents" in path.name


def read_rows(path: Path, options: Mapping[str, Any]) -> Rows:
    """Read a file, or all below a folder; runs are called as the folders of their files.

    Every tag becomes a column: at a step with a loss its value there, else the last one before.

    Raises
    ------
    ScalebedError
        If there are no scalars, or what a law needs is not known.
    """
    check_options("tensorboard", options)
    files = sorted(path.rglob(_FILES)) if path.is_dir() else [path]
    runs: dict[str, Scalars] = {}
    for file in files:
        name = file.parent.relative_to(path).as_posix() if path.is_dir() else file.parent.name
        found = runs.setdefault(path.name if name == "." else name, defaultdict(dict))
        # Files of one run are in the order of time: what was repeated after a restart counts.
        for tag, step, value in scalars(file):
            found[tag][step] = value
    histories = [_history(path, run, found, options) for run, found in runs.items() if found]
    if not histories:
        raise ScalebedError(f"{path} has no event files with scalars")
    return rows_of(path, histories, options)


def scalars(file: Path) -> Iterator[tuple[str, int, float]]:
    """Yield tag, step and value of every scalar of an event file, in its order.

    Raises
    ------
    ScalebedError
        If it is no event file.
    """
    for record in _records(file):
        event = _fields(record)
        step = int(event.get(2, [0])[-1])
        for summary in event.get(5, []):
            for text in _fields(summary).get(1, []):
                value = _fields(text)
                number = _number(value)
                if number is not None and 1 in value:
                    yield value[1][-1].decode("utf-8", "replace"), step, number


def _history(path: Path, run: str, found: Scalars, options: Mapping[str, Any]) -> History:
    loss = loss_of(path / run, sorted(found), options)
    steps = sorted(found[loss])
    columns: dict[str, Any] = {"step": steps}
    for tag, values in found.items():
        if tag != "step":
            columns[tag] = _carried(values, steps)
    return History(run, pyarrow.table(columns), loss)


def _carried(values: Mapping[int, float], steps: Sequence[int]) -> list[float | None]:
    """Values of a tag at some steps, or the last ones before."""
    known, at, last = sorted(values), 0, None
    carried: list[float | None] = []
    for step in steps:
        while at < len(known) and known[at] <= step:
            last, at = values[known[at]], at + 1
        carried.append(last)
    return carried


def _records(file: Path) -> Iterator[bytes]:
    content = file.read_bytes()
    at = 0
    while at + 12 <= len(content):
        length, checked = struct.unpack_from("<QI", content, at)
        if _masked_crc(content[at : at + 8]) != checked:
            raise ScalebedError(f"{file} is no event file of TensorBoard: byte {at} is no record")
        if at + 16 + length > len(content):
            return
        yield content[at + 12 : at + 12 + length]
        at += 16 + length


def _masked_crc(data: bytes) -> int:
    """CRC-32C, rotated by 15 bits and shifted by a constant, as TFRecord keeps it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _fields(data: bytes) -> Fields:
    """Return the fields of a protocol buffer by number; groups, which nothing here has, end it."""
    found: Fields = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        value: Any
        if kind == _VARINT:
            value, at = _varint(data, at)
        elif kind == _BYTES:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
            value, at = data[at : at + size], at + size
        else:
            break
        found.setdefault(number, []).append(value)
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            break
    return value, at


def _number(value: Fields) -> float | None:
    """Return the number of a value of a summary, None if it has none."""
    if 2 in value and len(value[2][-1]) == 4:
        return float(struct.unpack("<f", value[2][-1])[0])
    if 8 not in value:
        return None
    tensor = _fields(value[8][-1])
    kind = tensor.get(1, [0])[-1]
    form, place = {_FLOAT: ("<f", 5), _DOUBLE: ("<d", 6)}.get(kind, ("", 0))
    data = [part for number in (4, place) for part in tensor.get(number, []) if form]
    if not data or len(data[0]) != struct.calcsize(form):
        return None
    return float(struct.unpack(form, data[0])[0])
