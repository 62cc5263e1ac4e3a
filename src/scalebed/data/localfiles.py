"""Finding, opening and cutting local text files, plain or compressed."""

import bz2
import contextlib
import glob
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, BinaryIO, cast

from scalebed.core.errors import ScalebedError
from scalebed.core.files import sha256_file
from scalebed.core.provenance import digest

_BLOCK = 1 << 20
# Up to this size the content of files decides whether a corpus is stale, beyond it size and time:
# the digest is taken each time the workflow is parsed.
CONTENT_LIMIT = 64 << 20
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")


def expand(patterns: Sequence[str]) -> list[tuple[str, Path]]:
    """Return name and path of the files that match glob patterns, sorted by name.

    Names are relative to the common folder of the patterns (their parts before any wildcard), so
    that they do not change when the whole folder moves or other files come or go.

    Raises
    ------
    ScalebedError
        If a pattern matches no file.
    """
    if not patterns:
        raise ScalebedError("reader files: option paths is empty, expected at least one pattern")
    root = os.path.commonpath([_fixed_part(pattern) for pattern in patterns])
    found: dict[str, Path] = {}
    for pattern in patterns:
        matches = [path for path in map(Path, glob.glob(pattern, recursive=True)) if path.is_file()]  # noqa: PTH207 (** and absolute patterns)
        if not matches:
            raise ScalebedError(f"no file matches {pattern!r} (in {Path.cwd()})")
        found.update((PurePath(os.path.relpath(path, root)).as_posix(), path) for path in matches)
    return sorted(found.items())


def _fixed_part(pattern: str) -> str:
    parts = Path(os.path.abspath(pattern)).parts  # noqa: PTH100 (resolve() would follow links)
    fixed = [
        part for index, part in enumerate(parts) if not glob.has_magic("/".join(parts[: index + 1]))
    ]
    return os.path.join(*fixed) if len(fixed) < len(parts) else os.path.join(*parts[:-1])  # noqa: PTH118


def fingerprint(files: Sequence[tuple[str, Path]]) -> list[tuple[str, int, str]]:
    """Return name, size and a mark of the content of each file (see `CONTENT_LIMIT`)."""
    facts = [(name, path, path.stat()) for name, path in files]
    small = sum(stat.st_size for _, _, stat in facts) <= CONTENT_LIMIT
    return [
        (name, stat.st_size, sha256_file(path) if small else str(stat.st_mtime_ns))
        for name, path, stat in facts
    ]


def file_format(path: Path) -> str:
    """Return the extension of a file, a compression extension aside: ``jsonl`` for x.jsonl.gz."""
    stem = path.name
    for compression in COMPRESSIONS:
        stem = stem.removesuffix(compression)
    return PurePath(stem).suffix.removeprefix(".").lower()


@contextlib.contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, decompressing by extension.

    Raises
    ------
    ScalebedError
        If the file cannot be read or its compression is broken, also while it is being read.
    """
    import zstandard

    broken = (EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, gzip.BadGzipFile)
    try:
        with _decompressed(path) as stream:
            yield stream
    except broken as error:
        raise ScalebedError(f"{path} is truncated or not a {path.suffix} file: {error}") from error
    except OSError as error:
        raise ScalebedError(f"cannot read {path}: {error.strerror or error}") from error


def _decompressed(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix == ".bz2":
        return cast(BinaryIO, bz2.open(path, "rb"))
    if path.suffix == ".xz":
        return cast(BinaryIO, lzma.open(path, "rb"))
    if path.suffix == ".zst":
        return cast(BinaryIO, io.BufferedReader(_ZstdReader(path), _BLOCK))
    return path.open("rb")


class _ZstdReader(io.RawIOBase):
    """Decompresses all frames of a file, and raises EOFError if the last one is cut off.

    The reader of `zstandard` stops after the first frame and takes a cut-off one for whole.
    """

    def __init__(self, path: Path) -> None:
        import zstandard

        self._decompressor = zstandard.ZstdDecompressor()
        self._file = path.open("rb")
        self._frame: Any = None
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held:
            raw = self._file.read(_BLOCK)
            if not raw:
                if self._frame is not None:
                    raise EOFError("it ends inside a frame")
                return 0
            self._held = self._decompress(raw)
        count = min(len(buffer), len(self._held))
        buffer[:count], self._held = self._held[:count], self._held[count:]
        return count

    def _decompress(self, raw: bytes) -> bytes:
        parts = []
        while raw:
            if self._frame is None:
                self._frame = self._decompressor.decompressobj()
            parts.append(self._frame.decompress(raw))
            raw = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None
        return b"".join(parts)

    def close(self) -> None:
        self._file.close()
        super().close()


def pieces(stream: BinaryIO, separator: bytes | None) -> Iterator[tuple[int, bytes]]:
    """Yield byte offset and bytes of the parts of a stream between separators.

    Without a separator the whole stream is one part. Memory is bounded by the longest part.
    """
    if separator is None:
        yield 0, stream.read()
        return
    offset, rest = 0, b""
    while block := stream.read(_BLOCK):
        *complete, rest = (rest + block).split(separator)
        for part in complete:
            yield offset, part
            offset += len(part) + len(separator)
    yield offset, rest


def decode(path: Path, offset: int, raw: bytes, line: int | None = None) -> str:
    """Return UTF-8 bytes as text.

    Raises
    ------
    ScalebedError
        If they are not UTF-8; names the byte of the (decompressed) file and the line if known.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        where = f"byte {offset + error.start}" + (f", line {line}" if line is not None else "")
        value = raw[error.start]
        raise ScalebedError(f"{path} is not UTF-8 text ({where}: 0x{value:02x})") from error


def path_digest(path: Path) -> str:
    """Return a mark of a file, or of all files below a folder; empty if there is none."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return digest([list(item) for item in fingerprint([(str(file), file) for file in files])])
