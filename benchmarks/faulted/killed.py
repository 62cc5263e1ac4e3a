"""The study that is killed: made once, copied without its results, compared at its end."""

from __future__ import annotations

import copy
import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import healings
import yaml

_TESTS = Path(__file__).parents[2] / "tests"
sys.path += [str(_TESTS / "workflow"), str(_TESTS / "unit")]

import project  # noqa: E402 - where the tests make their study

MADE = ("results", "state", "logs", ".snakemake", "benchmarks", "tracked")
"""What runs of the workflow make in a project."""
STUDY = "study.yaml"
HARDWARE = "often.yaml"
"""A site where trainings save every second, so that what is killed can go on from there."""
Stamps = dict[str, tuple[int, int]]


def study() -> dict[str, Any]:
    """Return the tests' tiny study on one data set, with trunks, a seal and an exploration."""
    found = copy.deepcopy(project.STUDY)
    del found["datasets"]["both"], found["corpora"]["rules"]
    found["tokenizers"]["bpe300"]["corpora"] = ["tales"]
    recipe = {"batch_sequences": 4, "lr": 1e-2, "lr_end": 0.0, "warmup_steps": 10}
    found["recipes"] = {"base": recipe | {"schedule": "wsd"}}
    found["grid"] = [{"sizes": ["6k", "8k", "11k"], "ratios": [4, 8]}]
    found["grid"].append({"sizes": ["15k"], "ratios": [6]})
    found["fit"] = {"loss": "yardstick", "seal": True, "targets": [{"sizes": ["15k"]}]}
    found["fit"]["loss_cells"] = [{"sizes": ["6k", "8k", "11k"]}]
    found["bootstrap"] = {"draws": 100}
    found["tasks"]["items"] = 20
    found["figures"] = {"subset_designs": {}}
    return found


def make(folder: Path) -> None:
    """Write a project with this study."""
    project.Project.create(folder).write_study(study())
    (folder / HARDWARE).write_text(yaml.safe_dump({"checkpoint_seconds": 1}), encoding="utf-8")


def stripped(source: Path, target: Path) -> None:
    """Copy a project without what runs made."""
    shutil.copytree(source, target, symlinks=True, ignore=_made(source))


def _made(root: Path) -> Any:
    def ignored(folder: str, names: list[str]) -> list[str]:
        top = Path(folder) == root
        return [name for name in names if top and (name in MADE or name.startswith("said-"))]

    return ignored


def ended(root: Path) -> Stamps:
    """Return which file on the disk the weights are of each training that has ended, and its time.

    A training has ended when its record is kept beside its state, and a piece of a trunk when its
    record is there.
    """
    cells = [
        root / "results/cells" / path.parent.parent.relative_to(root / "state")
        for path in root.glob("state/dataset=*/*/*/*/*/*/metrics.json")
    ]
    files = [cell / "model.safetensors" for cell in cells]
    for record in (root / "results/trunks").rglob("state.json"):
        files += record.parent.glob("step-*.safetensors")
    return {str(path.relative_to(root)): _stamp(path) for path in files if path.is_file()}


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns


def trained_again(root: Path, before: Stamps) -> list[str]:
    """Return the weights that were there and now are another file, or none."""
    return [
        name
        for name, stamp in before.items()
        if not (root / name).is_file() or _stamp(root / name) != stamp
    ]


class Reference:
    """What an undisturbed run of the study gave."""

    def __init__(self, root: Path) -> None:
        self.numbers = healings.numbers(root)
        self.weights = weights(root)
        self.files = files(root)
        self.usual = usual_seconds(root)

    def differences(self, root: Path) -> list[str]:
        """Return in words what is other in a study that was killed and ran to its end."""
        now, found = healings.numbers(root), []
        found += [f"other numbers in {name}" for name in now if now[name] != self.numbers[name]]
        there = weights(root)
        found += [
            f"other weights: {name}"
            for name in sorted(self.weights.keys() | there.keys())
            if there.get(name) != self.weights.get(name)
        ]
        found += [f"left behind: {name}" for name in sorted(files(root) - self.files)]
        found += [f"missing: {name}" for name in sorted(self.files - files(root))]
        found += [f"damaged: {fault}" for fault in healings.verify(root)]
        return found + [f"a lock is left: {name}" for name in locks(root)]


def weights(root: Path) -> dict[str, str]:
    """Return digests of all tensors on disk; what is written beside them has times in it."""
    found = {}
    for path in sorted((root / "results").rglob("*.safetensors")):
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        found[str(path.relative_to(root))] = hashlib.sha256(content[8 + length :]).hexdigest()
    return found


def files(root: Path) -> set[str]:
    """Return all files of results and state, hidden ones too."""
    found = set()
    for name in ("results", "state"):
        for folder, _, names in os.walk(root / name):
            found |= {os.path.relpath(Path(folder, file), root) for file in names}
    return found


def locks(root: Path) -> list[str]:
    """Return the locks of Snakemake that are left."""
    return sorted(path.name for path in (root / ".snakemake/locks").glob("*"))


def usual_seconds(root: Path) -> dict[str, float]:
    """Return the processor time of the jobs of each rule, as their logs tell it, the mean."""
    found: dict[str, list[float]] = {}
    for path in (root / "logs").rglob("*.log"):
        rule = path.relative_to(root / "logs").parts[0]
        last = path.read_text(encoding="utf-8").rpartition(" s of CPU")[0].rpartition("\n")[2]
        if last:
            found.setdefault(rule.removesuffix(".log"), []).append(float(last))
    return {rule: sum(seconds) / len(seconds) for rule, seconds in found.items()}
