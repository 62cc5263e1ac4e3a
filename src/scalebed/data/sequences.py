"""Sequences of tokens for training and validation.

Training sequences come in an order that is a pure function of seed and position, so that a run
can stop and resume anywhere and gives the same batches on any number of workers or ranks.
"""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.core.files import quarantine, set_aside, sha256_file
from scalebed.core.verify import Level, verified
from scalebed.data.corpus import read_manifest
from scalebed.data.permutation import Permutation

# Each open map holds a file descriptor; processes commonly may have 1024.
_OPEN_MAPS = 256
# Positions whose order is worked out at once: NumPy calls cost more than their elements.
_BLOCK = 4096


class TokenStream:
    """The shards of one split as one long array on disk.

    Parameters
    ----------
    manifest_path
        A manifest of tokens.
    split
        ``"train"`` or ``"val"``.
    tokens
        Use only the first so many.
    verify
        How shards are checked when opened, see `scalebed.core.verify`.

    Raises
    ------
    ScalebedError
        If the split is not there, or a shard is missing, truncated or altered.
    """

    def __init__(
        self,
        manifest_path: Path,
        split: str,
        tokens: int | None = None,
        verify: Level = "sha256",
    ) -> None:
        self._manifest_path = manifest_path
        manifest = read_manifest(manifest_path, "tokens")
        if split not in manifest["splits"]:
            raise ScalebedError(
                f"tokens of corpus {manifest['corpus']} have no split {split!r}, "
                f"expected {' or '.join(manifest['splits'])}"
            )
        facts = manifest["splits"][split]
        self.tokens: int = facts["tokens"] if tokens is None else min(tokens, facts["tokens"])
        self.bytes_per_token: float = facts["bytes"] / facts["tokens"]
        self.vocab: int = manifest["vocab"]
        self._dtype = np.dtype(manifest["dtype"]).newbyteorder("<")
        self._starts = _offsets(shard["tokens"] for shard in facts["shards"])
        needed = bisect_left(self._starts, self.tokens)
        self._paths = [verified(manifest_path, shard, verify) for shard in facts["shards"][:needed]]
        self._maps: OrderedDict[int, np.memmap] = OrderedDict()

    def read(self, start: int, count: int) -> np.ndarray:
        """Return `count` tokens from `start` on as int64.

        Raises
        ------
        ScalebedError
            If an id lies outside the vocabulary; the manifest of the tokens is then set aside.
        """
        parts = []
        position, stop = start, start + count
        while position < stop:
            shard = bisect_right(self._starts, position) - 1
            offset = self._starts[shard]
            end = min(stop, self._starts[shard + 1])
            parts.append(self._map(shard)[position - offset : end - offset])
            position = end
        ids = (parts[0] if len(parts) == 1 else np.concatenate(parts)).astype(np.int64)
        if ids.max() >= self.vocab:
            at = start + int(ids.argmax())
            quarantine(
                self._manifest_path,
                f"token {at} of {self._manifest_path.parent} is {ids.max()}, "
                f"expected an id below {self.vocab}",
            )
        return ids

    def _map(self, shard: int) -> np.memmap:
        if shard not in self._maps:
            if len(self._maps) >= _OPEN_MAPS:
                self._maps.popitem(last=False)
            self._maps[shard] = np.memmap(self._paths[shard], dtype=self._dtype, mode="r")
        self._maps.move_to_end(shard)
        return self._maps[shard]


class SequenceSource:
    """Training sequences of a data set, in an order given by the seed.

    Each corpus is one stream of documents packed back to back with end-of-text between them. It
    is cut into sequences of ``context + 1`` tokens, ``context`` apart, so that every token but the
    first is predicted once an epoch. One permutation runs over the sequences of all corpora; each
    further epoch has another one.

    Parameters
    ----------
    dataset_manifest
        Manifest of the data set.
    context
        Tokens a model sees at once.
    seed
        Seed of the order.
    verify
        ``"sha256"`` checks the content of shards once per process, ``"size"`` only their length.

    Raises
    ------
    ScalebedError
        If a manifest or shard is missing, broken or not the one the data set was built from, or
        if there is not even one sequence.
    """

    def __init__(
        self,
        dataset_manifest: Path,
        context: int,
        seed: int,
        verify: Level = "sha256",
    ) -> None:
        path = Path(dataset_manifest)
        self.manifest = read_manifest(path, "dataset")
        self.context = context
        self._seed = seed
        self._streams = [_train_stream(path, source, verify) for source in self.manifest["sources"]]
        counts = [max(0, stream.tokens - 1) // context for stream in self._streams]
        self._starts = _offsets(counts)
        if not len(self):
            raise ScalebedError(
                f"data set {self.manifest['dataset']} has {self.manifest['tokens']} tokens, "
                f"expected at least one sequence of {context + 1}"
            )
        self._blocks: OrderedDict[int, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of sequences in one epoch."""
        return self._starts[-1]

    def indices(self, positions: np.ndarray) -> np.ndarray:
        """Return which sequences stand at global `positions`, counted on through the epochs."""
        blocks, within = np.divmod(np.asarray(positions, dtype=np.int64), _BLOCK)
        found = np.empty_like(within)
        for block in np.unique(blocks):
            here = blocks == block
            found[here] = self._block(int(block))[within[here]]
        return found

    def sequence(self, index: int) -> np.ndarray:
        """Return sequence `index` in [0, len) as context + 1 tokens, int64."""
        source = bisect_right(self._starts, index) - 1
        start = (index - self._starts[source]) * self.context
        return self._streams[source].read(start, self.context + 1)

    def batch(self, step: int, batch_sequences: int, rank: int = 0, world: int = 1) -> np.ndarray:
        """Return the part of a batch that belongs to one rank.

        Parameters
        ----------
        step
            Step of training, from 0.
        batch_sequences
            Sequences in the whole batch.
        rank, world
            Which part of how many; the parts are contiguous, in order, and make up the batch.

        Returns
        -------
        numpy.ndarray
            int64 of shape (sequences of this rank, context + 1).
        """
        first = batch_sequences * rank // world
        last = batch_sequences * (rank + 1) // world
        positions = step * batch_sequences + np.arange(first, last, dtype=np.int64)
        rows = [self.sequence(int(index)) for index in self.indices(positions)]
        shape = (len(rows), self.context + 1)
        return np.stack(rows) if rows else np.empty(shape, dtype=np.int64)

    def _block(self, block: int) -> np.ndarray:
        """Return the order of the positions ``block * _BLOCK + [0, _BLOCK)``."""
        if block not in self._blocks:
            if len(self._blocks) > 1:
                self._blocks.popitem(last=False)
            positions = block * _BLOCK + np.arange(_BLOCK, dtype=np.int64)
            epochs, within = np.divmod(positions, len(self))
            order = np.empty_like(within)
            for epoch in np.unique(epochs):
                here = epochs == epoch
                order[here] = Permutation(len(self), self._seed, int(epoch))(within[here])
            self._blocks[block] = order
        return self._blocks[block]


def _offsets(counts: Iterable[int]) -> list[int]:
    """Return where each of a series of parts starts, and where the last one ends."""
    return list(accumulate(counts, initial=0))


def _token_manifest(dataset_manifest: Path, source: Mapping[str, Any]) -> Path:
    path = dataset_manifest.parent / source["manifest"]
    if not path.is_file():
        quarantine(dataset_manifest, f"{path}, a source of {dataset_manifest}, does not exist")
    if sha256_file(path) != source["manifest_sha256"]:
        quarantine(dataset_manifest, f"{path} changed since {dataset_manifest} was built from it")
    return path


def _train_stream(dataset_manifest: Path, source: Mapping[str, Any], verify: Level) -> TokenStream:
    """Open a source; if its tokens turn out broken, the view of them has to be made anew too."""
    path = _token_manifest(dataset_manifest, source)
    try:
        return TokenStream(path, "train", source["tokens"], verify)
    except ScalebedError:
        if not path.is_file():
            set_aside(dataset_manifest)
        raise


class ValidationSequences(NamedTuple):
    """Non-overlapping predictions over the start of a split.

    Attributes
    ----------
    sequences
        int64 of shape (n, context + 1).
    bytes_per_token
        UTF-8 bytes of the split's text for each of its tokens, end-of-text tokens counted as
        tokens: a loss of L nats per token is L / ln 2 / bytes_per_token bits per byte.
    tokens, bytes
        Tokens predicted, n * context, and the bytes of text they stand for (estimated by
        bytes_per_token).
    """

    sequences: np.ndarray
    bytes_per_token: float
    tokens: int
    bytes: int


def validation_sequences(
    tokens_manifest: Path,
    split: str,
    context: int,
    max_tokens: int | None = None,
    verify: Level = "sha256",
) -> ValidationSequences:
    """Return the sequences of a split in document order, context apart.

    Parameters
    ----------
    tokens_manifest
        Manifest of the tokens.
    split
        ``"val"`` or ``"train"``.
    context
        Tokens a model sees at once.
    max_tokens
        Predict at most so many tokens (documents are shuffled, so these are a random sample).
    verify
        See `scalebed.core.verify`.

    Raises
    ------
    ScalebedError
        If the split holds less than one sequence, or its shards are broken.
    """
    stream = TokenStream(Path(tokens_manifest), split, verify=verify)
    count = max(0, stream.tokens - 1) // context
    if max_tokens is not None:
        count = min(count, max_tokens // context)
    if not count:
        limit = "" if max_tokens is None else f" and a limit of {max_tokens}"
        raise ScalebedError(
            f"split {split} of {tokens_manifest} has {stream.tokens} tokens{limit}, "
            f"expected at least one sequence of {context + 1}"
        )
    ids = stream.read(0, count * context + 1)
    windows = np.lib.stride_tricks.sliding_window_view(ids, context + 1)[::context]
    predicted = count * context
    return ValidationSequences(
        np.ascontiguousarray(windows),
        stream.bytes_per_token,
        predicted,
        round(predicted * stream.bytes_per_token),
    )
