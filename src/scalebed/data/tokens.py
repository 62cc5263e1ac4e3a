"""Token shards: documents in order, each followed by end-of-text, as little-endian integers."""

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.core.files import atomic_path, write_json
from scalebed.data.corpus import iter_documents, read_manifest
from scalebed.data.tokenizer import Tokenizer, load_tokenizer

logger = logging.getLogger(__name__)

SHARD_TOKENS = 64 << 20
# Splits that become tokens; "tasks" is text for task items.
SPLITS = ("train", "val")
# Characters handed to the tokenizer at once: enough for its threads, little against memory.
_BATCH_CHARACTERS = 1 << 20
# Documents beyond this many characters are encoded in pieces.
LONGEST = 4 << 20


def dtype_of(vocab: int) -> str:
    """Return the name of the smallest dtype used for ids below `vocab`."""
    return "uint16" if vocab <= 1 << 16 else "uint32"


class _ShardWriter:
    """Writes a stream of token arrays into files of at most `limit` tokens.

    Files get their final names when `stack` closes without an exception.
    """

    def __init__(
        self, folder: Path, split: str, dtype: str, limit: int, stack: contextlib.ExitStack
    ) -> None:
        self._folder, self._split, self._limit, self._stack = folder, split, limit, stack
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self.shards: list[dict[str, Any]] = []
        self.tokens = 0
        self._file: BinaryIO | None = None
        self._hasher = hashlib.sha256()
        self._held = 0

    def write(self, ids: np.ndarray) -> None:
        """Append ids, opening further shards as the limit demands."""
        while ids.size:
            if self._file is None:
                self._open()
            part, ids = np.split(ids, [self._limit - self._held])
            raw = part.astype(self._dtype).tobytes()
            self._hasher.update(raw)
            assert self._file is not None
            self._file.write(raw)
            self._held += part.size
            self.tokens += part.size
            if self._held == self._limit:
                self.close()

    def _open(self) -> None:
        name = f"{self._split}-{len(self.shards):05d}.bin"
        temporary = self._stack.enter_context(atomic_path(self._folder / name, digest=False))
        self._file = temporary.open("wb")
        self._hasher = hashlib.sha256()
        self._held = 0

    def close(self) -> None:
        """Finish the shard being written, if any."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        self.shards.append(
            {
                "name": f"{self._split}-{len(self.shards):05d}.bin",
                "tokens": self._held,
                "bytes": self._held * self._dtype.itemsize,
                "sha256": self._hasher.hexdigest(),
            }
        )


def tokenize_corpus(
    params: dict[str, Any],
    corpus: Path,
    tokenizer_manifest: Path,
    out: Path,
    shard_tokens: int = SHARD_TOKENS,
) -> dict[str, Any]:
    """Encode the train and val splits of a corpus into shards beside a manifest.

    Parameters
    ----------
    params
        ``numerics``.
    corpus, tokenizer_manifest
        Manifests of the inputs.
    out
        Where the manifest goes. Neither it nor the shards depend on anything but the inputs.
    shard_tokens
        Largest number of tokens in one file.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ScalebedError
        If an input is missing or broken, or the output cannot be written.
    """
    tokenizer = load_tokenizer(tokenizer_manifest)
    described = read_manifest(tokenizer_manifest, "tokenizer")
    source = read_manifest(corpus, "corpus")
    dtype = dtype_of(tokenizer.vocab)
    splits = {}
    with contextlib.ExitStack() as stack:
        for split in (name for name in SPLITS if name in source["splits"]):
            writer = _ShardWriter(out.parent, split, dtype, shard_tokens, stack)
            # The file must be closed before the stack renames it, also when encoding fails.
            with contextlib.closing(writer):
                _encode_split(corpus, split, tokenizer, writer)
            facts = {"tokens": writer.tokens, "shards": writer.shards}
            splits[split] = source["splits"][split] | facts
            logger.info("%s %s: %d tokens", source["corpus"], split, writer.tokens)
    manifest = {
        "kind": "tokens",
        "tokenizer": described["tokenizer"],
        "tokenizer_sha256": described["file"]["sha256"],
        "corpus": source["corpus"],
        "dtype": dtype,
        "eot": tokenizer.eot,
        "vocab": tokenizer.vocab,
        "splits": splits,
        "params": params,
    }
    write_json(out, manifest)
    _remove_leftovers(out.parent, splits)
    return manifest


def _encode_split(corpus: Path, split: str, tokenizer: Tokenizer, writer: _ShardWriter) -> None:
    end = np.array([tokenizer.eot], dtype=np.int64)
    for pieces in _batches(corpus, split):
        encoded = tokenizer.encode_batch([text for text, _ in pieces])
        for ids, (_, last) in zip(encoded, pieces, strict=True):
            writer.write(ids)
            if last:
                writer.write(end)


def _batches(corpus: Path, split: str) -> Iterator[list[tuple[str, bool]]]:
    """Yield lists of pieces of documents, each with whether it ends its document."""
    pieces: list[tuple[str, bool]] = []
    held = 0
    for document in iter_documents(corpus, split):
        *parts, last = cut(document.text)
        for piece in (*((part, False) for part in parts), (last, True)):
            pieces.append(piece)
            held += len(piece[0])
            if held >= _BATCH_CHARACTERS:
                yield pieces
                pieces, held = [], 0
    if pieces:
        yield pieces


def cut(text: str, longest: int = LONGEST) -> list[str]:
    """Cut a text into pieces of at most `longest` characters, before a blank where there is one.

    Byte-level tokenizers split there anyway, so the tokens stay the same; the memory encoding
    takes, about a hundred times the text, does not grow with the longest document.
    """
    parts, start = [], 0
    while len(text) - start > longest:
        stop = start + longest
        # A blank that follows a blank may belong to its token.
        while stop > start and not (text[stop].isspace() and not text[stop - 1].isspace()):
            stop -= 1
        if stop == start:
            stop = start + longest
        parts.append(text[start:stop])
        start = stop
    return [*parts, text[start:]]


def _remove_leftovers(folder: Path, splits: dict[str, Any]) -> None:
    """Remove shards of an earlier, longer version of the corpus."""
    listed = {shard["name"] for split in splits.values() for shard in split["shards"]}
    for file in folder.glob("*-[0-9][0-9][0-9][0-9][0-9].bin"):
        if file.name not in listed:
            file.unlink()


def check_same_tokenizer(manifests: list[dict[str, Any]]) -> None:
    """Raise `ScalebedError` if token manifests were made by different tokenizers."""
    first = manifests[0]
    for other in manifests[1:]:
        if other["tokenizer_sha256"] != first["tokenizer_sha256"]:
            raise ScalebedError(
                f"corpus {other['corpus']} was encoded by tokenizer {other['tokenizer']}, "
                f"expected the same as {first['corpus']}: {first['tokenizer']}"
            )
