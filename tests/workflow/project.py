"""A checkout with a tiny study in it, on text made up here, for tests of the whole workflow."""

import contextlib
import filecmp
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forked_snakemake
import numpy as np
import yaml

from scalebed.commands.cli import main

REPOSITORY = Path(__file__).parents[2]
PARTS = ("Snakefile", "workflow", "profiles", "config", "envs", "src")

STUDY: dict[str, Any] = {
    "name": "tiny",
    "title": "A study small enough for a test",
    "tracking": "tracker:Lines",
    "corpora": {
        name: {"reader": "files", "options": {"paths": [f"text/{name}.jsonl"], "id_field": "id"}}
        for name in ("tales", "rules")
    }
    | {
        "yardstick": {
            "reader": "files",
            "options": {"paths": ["text/yardstick.jsonl"], "id_field": "id"},
            "split": {"train": 0, "val": 30, "tasks": 70},
        }
    },
    "tokenizers": {"bpe300": {"kind": "bpe", "vocab": 300, "corpora": ["tales", "rules"]}},
    "datasets": {
        "tales": {"tokenizer": "bpe300", "sources": {"tales": 1}},
        "both": {"tokenizer": "bpe300", "sources": {"tales": 1, "rules": 1}},
    },
    "validation": {
        "yardstick": {"corpus": "yardstick", "max_tokens": 4000},
        "tales": {"corpus": "tales", "max_tokens": 4000},
    },
    "tasks": {
        "suite": "mini",
        "corpus": "yardstick",
        "tasks": ["function5", "order4"],
        "items": 40,
        "context_chars": 40,
    },
    "sizes": {
        "6k": {"width": 8, "layers": 1, "heads": 1, "vocab": 300, "context": 64, "ffn_multiple": 8},
        "8k": {"width": 10, "layers": 2, "heads": 1, "vocab": 300, "context": 64}
        | {"ffn_multiple": 8},
        "11k": {"width": 12, "layers": 2, "heads": 1, "vocab": 300, "context": 64}
        | {"ffn_multiple": 8},
        "15k": {"width": 16, "layers": 2, "heads": 1, "vocab": 300, "context": 64}
        | {"ffn_multiple": 8},
    },
    "recipes": {"base": {"batch_sequences": 4, "lr": 2e-2, "lr_end": 2e-4, "warmup_fraction": 0.1}},
    "grid": [
        {"sizes": ["6k", "8k", "11k"], "ratios": [2]},
        {"sizes": ["6k", "8k"], "ratios": [4]},
        {"sizes": ["15k"], "ratios": [2]},
    ],
    "fit": {
        "loss": "yardstick",
        "loss_cells": [
            {"sizes": ["6k", "8k", "11k"], "ratios": [2]},
            {"sizes": ["6k", "8k"], "ratios": [4]},
        ],
        "targets": [{"sizes": ["15k"]}],
    },
    "bootstrap": {"draws": 200},
}

# What its trainings are told to: a file a run.
TRACKER = """
import json
from pathlib import Path

class Lines:
    def __init__(self, project, name, id, config):
        self.file = Path("tracked", project, f"{id}.jsonl")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.write({"name": name})

    def write(self, values):
        with self.file.open("a") as file:
            file.write(json.dumps(values) + "\\n")

    def log(self, data, step):
        self.write({"step": step, **data})

    def finish(self):
        self.write({"finished": True})
"""

_NOUNS = [
    "river",
    "house",
    "teacher",
    "garden",
    "letter",
    "winter",
    "captain",
    "village",
    "engine",
    "market",
]
_VERBS = ["carried", "found", "watched", "painted", "followed", "opened", "crossed", "remembered"]
_QUALITIES = ["old", "bright", "narrow", "quiet", "distant", "heavy", "careful", "golden"]
_JOINTS = ["because", "while", "before", "although", "until"]
_PLACES = ["in", "on", "with", "from", "by", "for"]


def sentence(draw: np.random.Generator) -> str:
    """Return one grammatical sentence of about fifteen words."""
    pick = lambda words: words[int(draw.integers(len(words)))]  # noqa: E731
    clause = lambda: (  # noqa: E731
        f"the {pick(_QUALITIES)} {pick(_NOUNS)} {pick(_VERBS)} a {pick(_NOUNS)} "
        f"{pick(_PLACES)} the {pick(_NOUNS)}"
    )
    text = f"{clause()} {pick(_JOINTS)} {clause()}."
    return text[0].upper() + text[1:]


def write_text(folder: Path) -> None:
    """Write the three corpora of the tiny study, the same text each time."""
    folder.mkdir(parents=True)
    for seed, (name, documents) in enumerate(
        {"tales": 260, "rules": 260, "yardstick": 120}.items()
    ):
        draw = np.random.default_rng(seed)
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for index in range(documents):
                text = " ".join(sentence(draw) for _ in range(8))
                file.write(json.dumps({"id": f"{name}-{index}", "text": text}) + "\n")


def same_code(one: Path, other: Path) -> bool:
    """Tell whether two checkouts have the same files of code, with the same content."""
    files = [
        {file.relative_to(root) for file in (root / "src").rglob("*") if code_file(file)}
        for root in (one, other)
    ]
    _, differing, failed = filecmp.cmpfiles(one, other, files[0])
    return files[0] == files[1] and not differing and not failed


def code_file(path: Path) -> bool:
    """Tell whether a path below src is a file of code."""
    return path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path)


def counted(said: str) -> Counter[str]:
    """Return how many jobs of each rule a dry run speaks of."""
    if "Nothing to be done" in said:
        return Counter()
    table = re.search(r"Job stats:\n.*?\n-[- ]+\n(.*?)\ntotal ", said, flags=re.DOTALL)
    assert table is not None, said
    counts = Counter({row.split()[0]: int(row.split()[1]) for row in table[1].splitlines()})
    del counts["all"]
    return counts


@dataclass
class Project:
    """A folder that looks like a checkout and holds the tiny study."""

    root: Path
    study: str = "study.yaml"

    @classmethod
    def create(cls, root: Path) -> "Project":
        """Copy the code of the checkout to `root` and write text and study beside it."""
        root.mkdir(parents=True)
        for part in PARTS:
            source = REPOSITORY / part
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            if source.is_dir():
                shutil.copytree(source, root / part, ignore=ignore, symlinks=True)
            else:
                shutil.copy(source, root / part)
        write_text(root / "text")
        (root / "tracker.py").write_text(TRACKER, encoding="utf-8")
        project = cls(root)
        project.write_study(STUDY)
        return project

    def write_study(self, study: dict[str, Any]) -> None:
        """Replace the study file."""
        (self.root / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")

    def asked(self, study: dict[str, Any], file: Path) -> "Project":
        """Return the same folder with another study, written to a file outside: to plan only."""
        file.write_text(yaml.safe_dump(study), encoding="utf-8")
        return Project(self.root, str(file))

    def write_study_file(self, path: Path) -> None:
        """Use another study file."""
        shutil.copy(path, self.root / "study.yaml")

    def environment(self) -> dict[str, str]:
        """Return an environment in which jobs use the code of this folder.

        Kernels are compiled once for each path, which takes as long as the whole study. So code
        that is the checkout's to the byte is taken from there.
        """
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        code = REPOSITORY if same_code(self.root, REPOSITORY) else self.root
        return os.environ | {"PATH": path, "PYTHONPATH": str(code / "src")}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder."""
        return subprocess.run(
            words,
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def snakemake(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the study on two cores."""
        # Targets come first: `--configfile` takes every word that follows it.
        return self.run("snakemake", *words, "--cores", "2", "--configfile", self.study)

    def forked(self, *words: str) -> tuple[int | None, str]:
        """Return exit status and output of the same, from Python on the same but for imports."""
        options = ("--cores", "2", "--configfile", self.study)
        return forked_snakemake.snakemake(self.root, self.environment(), *words, *options)

    def make(self, *words: str) -> None:
        """Run Snakemake, which has to succeed."""
        status, text = self.forked(*words)
        assert status == 0, text

    def scalebed(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a verb of the command line."""
        return self.run(sys.executable, "-m", "scalebed", *words)

    def plan(self, *words: str, study: str | None = None) -> subprocess.CompletedProcess[str]:
        """Return what ``scalebed plan`` says, in this process: another would first import."""
        assert same_code(self.root, REPOSITORY), "this process has loaded other code"
        words = ("plan", "--study", study or self.study, "--no-calibration", *words)
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.root),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            status = main(list(words))
        return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())

    def dry_run(self, *words: str) -> str:
        """Return what Snakemake says of the jobs a run would start now."""
        status, text = self.forked("--dry-run", *words)
        assert status == 0, text
        return text

    def planned(self, *words: str) -> Counter[str]:
        """Return how many jobs of each rule a run would start now."""
        return counted(self.dry_run(*words))

    def cell(self, dataset: str = "tales", size: str = "6k", ratio: int = 2) -> Path:
        """Return the folder of a cell."""
        name = f"dataset={dataset}/size={size}/ratio={ratio}/recipe=base/seed=0"
        return self.root / "results" / "cells" / name
