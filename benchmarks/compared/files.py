"""The files of a table: from a folder that holds copies, or from its repository at one commit."""

from __future__ import annotations

from pathlib import Path

from benchmarks.compared.entry import Entry, File, Source
from scalebed.core.errors import ScalebedError
from scalebed.core.files import atomic_path, sha256_file
from scalebed.tables.imports.fetch import download


class NotHereError(ScalebedError):
    """The folder of tables lacks a file; that of another may be there."""


def files_of(entry: Entry, tables: Path | None, kept: Path) -> list[tuple[File, Path]]:
    """Return the checked files of a table.

    Parameters
    ----------
    entry
    tables
        Folder with copies of the files by their names; without one they are fetched.
    kept
        Where fetched files are kept. One that is there with its digest is not fetched again.

    Raises
    ------
    ScalebedError
        If a file is not there, cannot be fetched or has another digest.
    """
    return [
        (file, _fetched(entry.source, file, kept) if tables is None else _copy(file, tables))
        for file in entry.source.files
    ]


def _copy(file: File, tables: Path) -> Path:
    known = {file.name: file.sha256}
    if file.copied:
        known[file.copied.name] = file.copied.sha256
    for name, sha256 in known.items():
        path = tables / name
        if path.is_file():
            found = sha256_file(path)
            if found != sha256:
                raise ScalebedError(f"{path} has SHA-256 {found}, expected {sha256}")
            return path
    raise NotHereError(f"not in {tables}: {' or '.join(known)}")


def _fetched(source: Source, file: File, kept: Path) -> Path:
    path = kept / file.name
    if path.is_file() and sha256_file(path) == file.sha256:
        return path
    url = f"https://raw.githubusercontent.com/{source.repository}/{source.commit}/{file.path}"
    with atomic_path(path) as temporary:
        otherwise = "name a folder that has it with ZOO=FOLDER"
        temporary.write_bytes(download(url, f"the public table {file.name}", otherwise))
        found = sha256_file(temporary)
        if found != file.sha256:
            raise ScalebedError(f"{url} has SHA-256 {found}, expected {file.sha256}")
    return path
