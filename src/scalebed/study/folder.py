"""A folder for a study of one's own: all that `snakemake` needs beside the installed package."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from scalebed.core.cells import NAME
from scalebed.core.errors import ScalebedError
from scalebed.core.imports import PACKAGE

SHIPPED = PACKAGE / "shipped"
"""What comes with the package beside its code; in a clone links to its folders."""
SNAKEFILE = str(SHIPPED / "workflow" / "Snakefile")
"""The workflow, for the Snakefile of a folder to include."""
START = "start"
"""The study of a new folder, unless another one is asked for."""
_SCHEMA = re.compile(r"(?<=\$schema=)\S*?(\w+\.schema\.json)")
_NAMED = re.compile(r"\bconfig/(?:hardware|published|tasks)/\w+\.yaml")


def shipped_studies() -> dict[str, Path]:
    """Return the study files that come with the package, by name."""
    files = sorted((SHIPPED / "config" / "studies").glob("*.yaml"))
    own = {START: SHIPPED / START / "config" / "config.yaml"}
    return own | {"default": SHIPPED / "config" / "config.yaml"} | {one.stem: one for one in files}


def write_folder(folder: Path, study: str = START) -> None:
    """Write the folder of a study, all of it or nothing: Snakefile, study file, profiles, README.

    Parameters
    ----------
    folder
        What it is called; `START` takes its name from it.
    study
        Name of a study that comes with the package.

    Raises
    ------
    ScalebedError
        If there is something already, the name cannot be one of a study, or writing fails.
    """
    target = folder.resolve()
    if study == START and not re.fullmatch(NAME, target.name):
        raise ScalebedError(
            f"a study cannot be called {target.name!r}, expected small letters, digits and _"
        )
    if target == Path.cwd() or (target.exists() and not _is_empty(target)):
        raise ScalebedError(f"{folder} is there already, expected the name of a new folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as place:
            made = Path(place) / "study"
            _fill(made, study, target.name)
            # An empty folder gives way.
            made.rename(target)
    except OSError as error:
        raise ScalebedError(f"cannot write {folder}: {error.strerror or error}") from error


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _fill(folder: Path, study: str, name: str) -> None:
    shutil.copytree(SHIPPED / START, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(SHIPPED / "profiles", folder / "profiles")
    shutil.copy(SHIPPED / "config" / "README.md", folder / "config")
    text = shipped_studies()[study].read_text(encoding="utf-8")
    (schema,) = _SCHEMA.findall(text)
    shutil.copy(SHIPPED / "workflow" / "schemas" / schema, folder / "config")
    for path in sorted({path for path in _NAMED.findall(text) if (SHIPPED / path).is_file()}):
        (folder / path).parent.mkdir(exist_ok=True)
        shutil.copy(SHIPPED / path, folder / path)
    text = _SCHEMA.sub(r"\1", text, count=1)
    if study == START:
        text = re.sub(r"^name: .*$", f"name: {name}", text, count=1, flags=re.MULTILINE)
        _write_text(folder / "text")
    (folder / "config" / "config.yaml").write_text(text, encoding="utf-8")


def _write_text(folder: Path) -> None:
    """Write the manual of Python, which every Python has, one file a topic."""
    from pydoc_data.topics import topics

    folder.mkdir()
    for topic, text in topics.items():
        (folder / f"{topic}.txt").write_text(text, encoding="utf-8")
