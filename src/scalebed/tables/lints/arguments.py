"""Checks of what the parts of a record say of its run."""

from collections.abc import Iterator

import pandas as pd

from scalebed.tables.lints.base import (
    WARNING,
    Row,
    Tables,
    as_number,
    done_cells,
    finding,
    records,
)

# Dates differ from part to part by nature, and a broken part says nothing of the run.
_NO_SETTING = frozenset(("created", "broken"))
# Legitimate grids span a factor of a thousand in steps, so only a gap beyond all others counts.
_STEPS_FACTOR = 10.0
_TOKENS_TOLERANCE = 0.01


def sources_disagree(tables: Tables, yardstick: str) -> Iterator[Row]:
    """Yield cells whose record holds two values of one setting, as stale arguments do."""
    arguments = tables["arguments"]
    arguments = arguments[~arguments["key"].isin(_NO_SETTING)]
    for cell, group in arguments.groupby("cell", sort=True):
        parts = []
        for key, values in group.groupby("key", sort=True):
            if len({_canonical(value) for value in values["value"]}) > 1:
                said = records(values.sort_values("source"))
                values_said = ", ".join(f"{one['value']} by {one['source']}" for one in said)
                parts.append(f"{key} ({values_said})")
        if parts:
            message = f"The parts of the record disagree on {'; '.join(parts)}."
            yield finding("sources_disagree", WARNING, str(cell), str(cell), message)


def _canonical(value: str) -> float | str:
    number = as_number(value)
    return value if number is None else number


def batch_implausible(tables: Tables, yardstick: str) -> Iterator[Row]:
    """Yield cells whose stated batch implies many times the steps of every run with another one."""
    stated = _with_number(tables, "batch_sequences")
    stated = stated[(stated["number"] > 0) & stated["context"].notna()]
    stated = stated.assign(steps=stated["tokens"] / (stated["number"] * stated["context"]))
    for row in records(stated):
        others = stated[(stated["number"] != row["number"]) & (stated["cell"] != row["cell"])]
        if others.empty or row["steps"] <= _STEPS_FACTOR * others["steps"].max():
            continue
        values = ", ".join(f"{value:g}" for value in sorted(set(others["number"])))
        message = (
            f"A batch_sequences of {row['number']:g} ({row['source']}) would mean "
            f"{row['steps']:.3g} steps, where no run with another batch has more than "
            f"{others['steps'].max():.3g}; others have {values}."
        )
        yield finding("batch_implausible", WARNING, row["cell"], row["cell"], message)


def samples_contradict_tokens(tables: Tables, yardstick: str) -> Iterator[Row]:
    """Yield cells whose samples times epochs are not their tokens.

    OpenLM's ``--train-num-samples`` counts the tokens of one of its epochs, which are checkpoints
    and no passes over the data.
    """
    samples = _with_number(tables, "train_num_samples")
    epochs = _with_number(tables, "epochs")[["cell", "source", "number"]]
    both = samples.merge(epochs, on=["cell", "source"], suffixes=("", "_epochs"))
    for row in records(both):
        factor = row["number"] * row["number_epochs"] / row["tokens"]
        if abs(factor - 1) > _TOKENS_TOLERANCE:
            message = (
                f"{row['number']:.0f} samples in each of {row['number_epochs']:g} epochs "
                f"({row['source']}) are {factor:.3g} times the "
                f"{row['tokens']:.0f} tokens of the cell."
            )
            yield finding("samples_contradict_tokens", WARNING, row["cell"], row["cell"], message)


def _with_number(tables: Tables, key: str) -> pd.DataFrame:
    """Return the stated values of a key that are numbers, beside tokens and context of the cell."""
    stated = tables["arguments"]
    stated = stated[stated["key"] == key]
    # Not `pandas.to_numeric`: an empty column of objects would stay one.
    numbers = pd.Series([as_number(value) for value in stated["value"]], stated.index, "float64")
    stated = stated.assign(number=numbers).dropna(subset="number")
    cells = done_cells(tables)[["cell", "tokens", "context"]].astype(
        {"tokens": "float64", "context": "float64"}
    )
    return stated.merge(cells, on="cell").sort_values(["cell", "source"])
