"""Reading and writing files so that a reader never sees half of one."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from scalebed.core.aside import file_beside
from scalebed.core.digests import forget, is_kept, read_whole, remember
from scalebed.core.digests import sha256_file as sha256_file
from scalebed.core.errors import ScalebedError

if TYPE_CHECKING:
    import pyarrow


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str], digest: bool = True) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends without an exception.

    The temporary file lies in the folder of `path` (which is created), is flushed to disk and then
    renamed, so that a crash leaves either the old file or the new one. What a killed process has
    left of it there is removed by the next one.

    Parameters
    ----------
    path
        File to write.
    digest
        Whether a file of a study gets a digest beside it, see `scalebed.core.digests`; not if
        another file vouches for it.

    Raises
    ------
    ScalebedError
        If the folder or file cannot be written, for example because the disk is full.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with file_beside(target) as temporary:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            _put(temporary, target, digest)
    except OSError as error:
        raise ScalebedError(f"cannot write {target}: {error.strerror or error}") from error


def _put(temporary: Path, target: Path, digest: bool) -> None:
    """Put a finished file in its place, and its digest beside it."""
    found = sha256_file(temporary) if digest and is_kept(target) else None
    inode = temporary.stat().st_ino
    # Whoever reads meanwhile finds no digest rather than one of other content. A copy outside of a
    # study has brought its digest along.
    forget(target)
    temporary.replace(target)
    if found is not None:
        remember(target, found, inode)


def write_text(path: str | os.PathLike[str], text: str, digest: bool = True) -> None:
    """Write `text` as UTF-8, atomically; `digest` as for `atomic_path`."""
    with atomic_path(path, digest) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_text(path: str | os.PathLike[str]) -> str:
    """Return the text of a file.

    Raises
    ------
    ScalebedError
        If it cannot be read, or is not what was written.
    """
    try:
        return read_whole(Path(path)).decode("utf-8")
    except OSError as error:
        raise ScalebedError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ScalebedError(f"cannot read {path}: {error}; delete it and run again") from error


def write_json(path: str | os.PathLike[str], value: Any, digest: bool = True) -> None:
    """Write `value` as JSON with sorted keys, atomically; `digest` as for `atomic_path`.

    Raises
    ------
    ValueError
        If `value` holds NaN or an infinity, which JSON cannot express.
    """
    text = json.dumps(value, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n", digest)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Return the content of a JSON file.

    Raises
    ------
    ScalebedError
        If the file is missing, not what was written, not UTF-8, truncated or not JSON.
    """
    try:
        return json.loads(read_whole(Path(path)).decode("utf-8"))
    except OSError as error:
        raise ScalebedError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ScalebedError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise ScalebedError(
            f"{path} is not valid JSON (line {error.lineno}: {error.msg}); "
            "it may be truncated: delete it and run again"
        ) from error
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, or brackets in brackets in brackets.
        raise ScalebedError(f"{path} is not JSON that can be read: {error}") from error


def write_parquet(path: str | os.PathLike[str], table: "pyarrow.Table") -> None:
    """Write a table as zstd-compressed parquet, atomically."""
    import pyarrow.parquet

    with atomic_path(path) as temporary:
        pyarrow.parquet.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def quarantine(manifest: str | os.PathLike[str], message: str) -> NoReturn:
    """Set a manifest aside because a file it vouches for is broken, and raise.

    Stages depend on manifests, so with the manifest gone the next run rebuilds the broken file.

    Raises
    ------
    ScalebedError
        Always: `message`, followed by what was done.
    """
    path = Path(manifest)
    try:
        set_aside(path)
    except OSError as error:
        advice = f"delete {path} and run again, for it cannot be set aside: {error.strerror}"
        raise ScalebedError(f"{message}; {advice}") from error
    raise ScalebedError(f"{message}; set {path} aside, run again to rebuild it")


def set_aside(path: Path) -> None:
    """Rename a file so that the next run makes it anew; nothing happens if it is not there."""
    with contextlib.suppress(FileNotFoundError):
        path.replace(path.with_name(path.name + ".bad"))
