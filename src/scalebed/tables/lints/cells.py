"""Checks of the cells themselves: sizes, compute, what was evaluated and when."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pandas as pd

from scalebed.core import arithmetic
from scalebed.tables.lints.base import (
    NOTE,
    WARNING,
    Row,
    Tables,
    count_of,
    done_cells,
    finding,
    records,
    some,
)

_INT64 = 2**63 - 1
# A study's runs come in one campaign; what follows a pause as long as this is a rerun or an
# addition, perhaps with other code.
_PAUSE = timedelta(days=14)
_FFN_MULTIPLES = tuple(2**power for power in range(11))


def compute_overflows(tables: Tables, yardstick: str) -> Iterator[Row]:
    """Yield a note if 6ND of some cell is no 64-bit integer."""
    cells = done_cells(tables)
    large = sorted(
        (6 * int(params) * int(tokens), cell)
        for cell, params, tokens in zip(
            cells["cell"], cells["params"], cells["tokens"], strict=True
        )
        if 6 * int(params) * int(tokens) > _INT64
    )
    if large:
        largest, cell = large[-1]
        message = (
            f"6ND of {count_of(len(large), 'cell')} is above 2^63 - 1 and would overflow a 64-bit "
            f"integer, at the most {largest:.3g} ({cell}); it is computed in floating point."
        )
        yield finding("compute_overflows", NOTE, None, "6ND", message)


def params_contradict_shape(tables: Tables, yardstick: str) -> Iterator[Row]:
    """Yield cells whose N is no decoder of their width, depth and vocabulary.

    The multiple to which the feed-forward width is rounded is not in the table, so every power of
    two up to 1024 is allowed.
    """
    cells = done_cells(tables).dropna(subset=["width", "layers", "heads", "vocab", "context"])
    for row in records(cells.sort_values("cell")):
        numbers = (int(row["width"]), int(row["layers"]), int(row["heads"]), int(row["vocab"]))
        shape = arithmetic.Shape(*numbers, int(row["context"]))
        possible = {
            arithmetic.count_params(replace(shape, ffn_multiple=multiple)).total
            for multiple in _FFN_MULTIPLES
        }
        if int(row["params"]) not in possible:
            usual = arithmetic.count_params(shape).total
            message = (
                f"The record says {row['params']} parameters, where width {shape.width}, "
                f"{shape.layers} layers and vocabulary {shape.vocab} make {usual}."
            )
            yield finding("params_contradict_shape", WARNING, row["cell"], row["cell"], message)


def evaluations_missing(tables: Tables, yardstick: str) -> Iterator[Row]:
    """Yield finished cells that lack a validation set or a task that others have."""
    cells = sorted(done_cells(tables)["cell"])
    for table, column, noun in (
        ("losses", "validation", "validation set"),
        ("tasks", "task", "task"),
    ):
        rows = tables[table]
        rows = rows[rows["cell"].isin(cells)]
        every = set(rows[column])
        found = rows.groupby("cell")[column].agg(set).to_dict()
        for cell in cells:
            if missing := sorted(every - found.get(cell, set())):
                message = (
                    f"{count_of(len(missing), noun)} of {len(every)} that other cells have "
                    f"{'is' if len(missing) == 1 else 'are'} missing: {some(missing)}."
                )
                yield finding("evaluations_missing", WARNING, cell, f"{noun}s of {cell}", message)


def recorded_late(tables: Tables, yardstick: str) -> Iterator[Row]:
    """Yield cells whose record was made after a pause in which most of the study already was."""
    arguments = tables["arguments"]
    arguments = arguments[arguments["key"] == "created"]
    for source, group in arguments.groupby("source", sort=True):
        days = pd.to_datetime(group["value"], errors="coerce", format="ISO8601")
        dated = group.assign(created=days).dropna(subset="created")
        dated = dated.sort_values(["created", "cell"]).reset_index(drop=True)
        pauses = dated["created"].diff() >= _PAUSE
        starts = [index for index in dated.index[pauses] if 2 * index >= len(dated)]
        if not starts:
            continue
        before: pd.Timestamp = dated["created"][starts[0] - 1]
        for row in records(dated.loc[starts[0] :]):
            cell, created = row["cell"], row["created"]
            message = (
                f"The date of {source} is {created:%Y-%m-%d}, {(created - before).days} days after "
                f"{before:%Y-%m-%d}, by which {starts[0]} of {len(dated)} had been made."
            )
            yield finding("recorded_late", NOTE, cell, f"{source} of {cell}", message)
