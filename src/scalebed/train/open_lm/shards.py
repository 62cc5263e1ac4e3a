"""Batches of ours as open_lm reads them: webdataset tars, one for each of its epochs and ranks.

open_lm's "epoch" is the stretch between two checkpoints. It takes shards off a manifest until it
has enough sequences, gives the j-th of them to rank j, and reads each from front to back; sampling
without replacement turns its sample shuffling off. What it does shuffle is the manifest, by NumPy's
generator and its ``--seed``: the lines are written in the inverse order, so that it arrives at
ours. Thus step t of open_lm sees exactly batch t of `SequenceSource`.
"""

import gzip
import io
import json
import math
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError
from scalebed.core.files import atomic_path, write_text
from scalebed.data.sequences import SequenceSource
from scalebed.train.interrupt import Interrupted, Stop

DATA_KEY = "json.gz"
MANIFEST = "manifest.jsonl"

_EPOCHS = 20
_MOST_EPOCHS = 200
_EPOCH_FLOPS = 1e18


class Layout(NamedTuple):
    """How a training is cut into open_lm's epochs."""

    steps: int
    """Steps in all."""
    batch_sequences: int
    ranks: int
    epochs: int
    epoch_steps: int
    """Steps of an epoch; the last one may be shorter."""

    @property
    def epoch_sequences(self) -> int:
        """Sequences that open_lm is told an epoch has.

        It takes floor(this · epochs / batch) for the steps in all, which must come out right.
        """
        return -(-self.steps * self.batch_sequences // self.epochs)


def make_layout(params: int, tokens: int, steps: int, batch_sequences: int, ranks: int) -> Layout:
    """Cut a training into epochs: one for every 1e18 FLOPs (6ND), at least 20, at most 200.

    There are never more than steps, nor more than sequences in a batch: open_lm could then not
    be told the number of steps.

    Raises
    ------
    ScalebedError
        If a batch cannot be shared out evenly among the ranks.
    """
    if batch_sequences % ranks:
        raise ScalebedError(
            f"open_lm shares a batch evenly, but {ranks} ranks do not divide recipe.batch_sequences"
            f" {batch_sequences}"
        )
    by_flops = math.ceil(arithmetic.flops(params, tokens) / _EPOCH_FLOPS)
    wanted = min(_MOST_EPOCHS, max(_EPOCHS, by_flops))
    epoch_steps = -(-steps // min(wanted, steps, batch_sequences))
    return Layout(steps, batch_sequences, ranks, -(-steps // epoch_steps), epoch_steps)


def write_shards(
    folder: Path, source: SequenceSource, layout: Layout, seed: int, stop: Stop
) -> None:
    """Write the shards of a training and their manifest; those already there are kept.

    Parameters
    ----------
    folder
        Where they go.
    source
        The training sequences.
    layout
        Epochs, steps and ranks.
    seed
        open_lm's ``--seed``.
    stop
        Asks to stop; shards that are whole stay.

    Raises
    ------
    Interrupted
        If `stop` was set.
    ScalebedError
        If a file cannot be written.
    """
    shards = []
    for epoch in range(layout.epochs):
        for rank in range(layout.ranks):
            name = f"epoch-{epoch:03d}-rank-{rank:03d}"
            path = folder / f"{name}.tar"
            if not path.exists():
                with atomic_path(path, digest=False) as temporary:
                    _write_shard(temporary, source, layout, epoch, rank, stop)
            sequences = layout.epoch_steps * layout.batch_sequences // layout.ranks
            shards.append({"shard": name, "num_sequences": sequences})
    order = list(range(len(shards)))
    np.random.default_rng(seed).shuffle(order)
    lines = [""] * len(shards)
    for position, line in enumerate(order):
        lines[line] = json.dumps(shards[position]) + "\n"
    write_text(folder / MANIFEST, "".join(lines))


def _write_shard(
    path: Path, source: SequenceSource, layout: Layout, epoch: int, rank: int, stop: Stop
) -> None:
    """Write what one rank sees in one epoch.

    The last epoch is filled up with sequences that come after the last step: open_lm stops before
    them, but refuses an epoch that is short of sequences.
    """
    first = epoch * layout.epoch_steps
    with tarfile.open(path, "w") as tar:
        for step in range(first, first + layout.epoch_steps):
            if stop:
                raise Interrupted(f"{stop.signal}: shards of open_lm are written in part")
            batch = source.batch(step, layout.batch_sequences, rank, layout.ranks)
            for row, sequence in enumerate(batch):
                text = json.dumps(sequence.tolist(), separators=(",", ":")).encode()
                data = gzip.compress(text, compresslevel=1, mtime=0)
                entry = tarfile.TarInfo(f"{step:09d}-{row:06d}.{DATA_KEY}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
