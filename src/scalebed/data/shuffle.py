"""Sorting documents by the hash of their ids in bounded memory.

Documents go into 256 buckets by the first byte of their hash; buckets that outgrow memory are
spilled to temporary files. Taken bucket by bucket the documents come out sorted, so the result
does not depend on the order they came in or on what was spilled.
"""

import contextlib
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from scalebed.core.aside import folder_in
from scalebed.core.errors import ScalebedError
from scalebed.data.documents import Document
from scalebed.data.splits import document_hash

_BUCKETS = 256
SPILL_CHARACTERS = 256 << 20


class Keyed(NamedTuple):
    """A document with the hash of its id."""

    key: bytes
    document: Document


class Shuffler:
    """Collects documents and gives them back sorted by hash.

    Parameters
    ----------
    folder
        Where temporary files go; they vanish with `close`.
    spill_characters
        Characters of text held in memory before everything held is written to disk.
    """

    def __init__(self, folder: Path, spill_characters: int = SPILL_CHARACTERS) -> None:
        self._held: list[list[Document]] = [[] for _ in range(_BUCKETS)]
        self._characters = 0
        self._limit = spill_characters
        self._folder = folder
        self._spill: Path | None = None
        self._open = contextlib.ExitStack()

    def add(self, document: Document) -> None:
        """Take in one document."""
        self._held[document_hash(document.id)[0]].append(document)
        self._characters += len(document.text)
        if self._characters > self._limit:
            self._write_out()

    def sorted(self) -> Iterator[Keyed]:
        """Yield all documents by increasing hash.

        Raises
        ------
        ScalebedError
            If two documents have the same id.
        """
        for bucket in range(_BUCKETS):
            documents = [*self._spilled(bucket), *self._held[bucket]]
            keyed = sorted(
                (Keyed(document_hash(document.id), document) for document in documents),
                key=lambda entry: entry.key,
            )
            for before, after in pairwise(keyed):
                if before.key == after.key:
                    raise ScalebedError(
                        f"two documents have the id {after.document.id!r}, expected distinct ids"
                    )
            yield from keyed

    def close(self) -> None:
        """Remove the temporary files."""
        self._open.close()

    def _file(self, bucket: int) -> Path | None:
        return None if self._spill is None else self._spill / f"{bucket:03d}.jsonl"

    def _write_out(self) -> None:
        if self._spill is None:
            self._spill = self._open.enter_context(folder_in(self._folder, ".shuffle."))
        for bucket, documents in enumerate(self._held):
            file = self._file(bucket)
            if documents and file is not None:
                # One JSON list a line: text may hold anything, line ends included.
                with file.open("a", encoding="utf-8") as stream:
                    stream.writelines(json.dumps(document) + "\n" for document in documents)
        self._held = [[] for _ in range(_BUCKETS)]
        self._characters = 0

    def _spilled(self, bucket: int) -> Iterator[Document]:
        file = self._file(bucket)
        if file is None or not file.exists():
            return
        with file.open(encoding="utf-8") as stream:
            for line in stream:
                yield Document(*json.loads(line))
