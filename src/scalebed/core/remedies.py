"""What to delete where a file of a study is damaged, so that the next run makes it anew.

Snakemake notices a missing file only if the study asks for it by name, and makes the others when it
makes that one. So beside the damaged file goes one that is asked for.
"""

import os
from pathlib import Path

ROOTS = ("results", "state")
SEAL = "sealed.json"
KEPT_SEAL = "sealed.kept"
"""Copy of a seal, which once a target has begun to train is not to be had anew."""
_MANIFEST = "manifest.json"
_VOUCHED = ("corpora", "tokenizers", "tokens", "datasets", "suites")
_OF_WEIGHTS = ("model.safetensors", "model.json")
_GATHERED = ("tables", "fits", "checks", "parquet")


def root_of(path: Path) -> Path | None:
    """Return the folder ``results`` or ``state`` that a file lies in, the innermost; else None."""
    # `Path.absolute` would leave "..", which has a meaning before links are followed only.
    absolute = Path(os.path.abspath(path))  # noqa: PTH100
    return next((folder for folder in absolute.parents if folder.name in ROOTS), None)


def remedy(path: Path) -> list[Path]:
    """Return what to delete, as paths that begin as `path` does.

    Parameters
    ----------
    path
        A damaged file.

    Returns
    -------
    list of Path
        None if nothing makes the file again.
    """
    if path.name == SEAL and not path.with_name(KEPT_SEAL).exists():
        return []
    root = root_of(path)
    if root is None or root.name == "state":
        return [path]
    below = Path(os.path.abspath(path)).relative_to(root).parts  # noqa: PTH100
    up = [path, *path.parents]
    found = [path, _asked_for(below, up)]
    if below[0] == "trunks" and path.name.startswith("step-"):
        found.append(path.with_suffix(".sha256"))
    return list(dict.fromkeys(found))


def _asked_for(below: tuple[str, ...], up: list[Path]) -> Path:
    """Return the file that brings a damaged one back, given its path below results.

    Parameters
    ----------
    below
        Names from the folder ``results`` down to the file.
    up
        The file and the folders above it, from within outwards.
    """
    path, kind = up[0], below[0]
    if kind in _VOUCHED:
        return path.with_name(_MANIFEST)
    if kind == "imports":
        return up[len(below) - 2] / _MANIFEST
    if kind == "cells" and path.name in _OF_WEIGHTS:
        return path.with_name("metrics.json")
    if kind == "trunks" and path.name != "kept.json":
        return path.with_name("state.json")
    if kind != "studies" or len(below) < 3:
        return path
    study, rest = up[len(below) - 2], below[2:]
    if rest[0] in _GATHERED or rest == ("judged.parquet",):
        return study / "study.duckdb"
    if rest[0] == "search" and path.suffix == ".parquet":
        return study / "search" / "ladder.yaml"
    if rest[0] == "explored":
        return _of_figure(study, path)
    if rest[0] == "figures":
        return study / "report.html" if path.suffix == ".js" else path.with_suffix(".svg")
    return path


def _of_figure(study: Path, explored: Path) -> Path:
    """Return what shows an exploration: the figure of its name, or else the report."""
    figure = study / "figures" / f"{explored.stem}.svg"
    return figure if figure.exists() else study / "report.html"
