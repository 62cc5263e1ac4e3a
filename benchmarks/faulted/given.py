"""The inputs of which wrong ones are made, and what reads each kind."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from mutations import Change, in_csv, in_json, in_yaml

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.core.provenance import canonical_json
from scalebed.evaluate.digests import TASK_FOLDER, read_task, suite_digests
from scalebed.plan import rule_params
from scalebed.study.imported import ImportedStudy
from scalebed.study.load import load_any
from scalebed.study.search import SearchStudy
from scalebed.tables.published_numbers import read_published
from scalebed.watch.seals import seal_digest

CONFIG = Path(__file__).parents[2] / "config"
TASK = "order4.yaml"
LAW = "L0=1.8,A=0.6,alpha=0.4,B=400,C=2,beta=0.6,gamma=0.6"
AIM = "params=7e9,tokens=140e9"


class Kind(NamedTuple):
    """A kind of input."""

    files: tuple[str, ...]
    ways: tuple[Change, ...]
    read: Callable[[Path], int]
    """Returns the exit status."""
    sealed: Callable[[bytes, random.Random], bytes] = lambda content, _: content
    """Makes of a changed file one whose sum is right."""


def verb(*words: str) -> Callable[[Path], int]:
    """Return what runs a verb; FILE stands for the file."""
    return lambda path: main([str(path) if word == "FILE" else word for word in words])


def said(read: Callable[[Path], Any]) -> Callable[[Path], int]:
    """Return what reads a file as a command does that says what it refuses."""

    @functools.wraps(read)
    def status(path: Path) -> int:
        try:
            read(path)
        except ScalebedError as error:
            print(f"scalebed: error: {error}", file=sys.stderr)
            return 2
        return 0

    return status


def study(path: Path) -> None:
    """Read a study and work out what its rules need."""
    found = load_any(path)
    if isinstance(found, ImportedStudy):
        return
    found = found.study() if isinstance(found, SearchStudy) else found
    for cell in found.cells()[:50]:
        canonical_json(rule_params.cell(found, cell))
    for name in found.corpora:
        canonical_json(rule_params.corpus(found, name))
    canonical_json(rule_params.enough(found))


def watch(path: Path) -> int:
    """Compare a curve with a schedule, whichever of both was changed."""
    words = ("--target", AIM, "--multi-power", "law.json", "--schedule", "schedule.csv")
    return main(["watch", "curve.csv", *words, "--steps", "200", "--batch-tokens", "7e8"])


def resealed(content: bytes, draw: random.Random) -> bytes:
    """Give every other seal the digest of what it holds now, as who forges one would."""
    try:
        record = json.loads(content)
        if draw.random() < 0.75:
            record["digest"] = seal_digest(record)
        return json.dumps(record).encode()
    except Exception:
        return content


def in_parquet(content: bytes, draw: random.Random) -> bytes:
    """Change a column of a parquet table: its type, its name or its values."""
    frame = pd.read_parquet(io.BytesIO(content))
    name = draw.choice(list(frame.columns))
    values = frame[name]
    new: Any = draw.choice(
        (
            values.astype(str),
            [None] * len(frame),
            [[1.0, 2.0]] * len(frame),
            [{"a": 1}] * len(frame),
            [True] * len(frame),
            pd.Timestamp("2026-01-01"),
            b"\xff\x00",
            values.astype("category"),
            1e308,
        )
    )
    frame = frame.assign(**{name: new})
    if draw.random() < 0.3:
        frame = frame.rename(columns={name: draw.choice(("N", "loss", "error", "<b>", "a\x1bb"))})
    target = io.BytesIO()
    frame.to_parquet(target)
    return target.getvalue()


TABLE = ("fit", "FILE", "--target", AIM, "--draws", "100", "--out", "out.json")
STUDIES = ("config.yaml", "evening.yaml", "search.yaml", "testbed.yaml", "gadre2024_trunks.yaml")
KINDS = {
    "study": Kind(STUDIES, (in_yaml,), said(study)),
    "table": Kind(("runs.csv",), (in_csv,), verb(*TABLE)),
    "task": Kind((TASK,), (in_yaml,), said(read_task)),
    "curve": Kind(("curve.csv", "schedule.csv"), (in_csv,), watch),
    "seal": Kind(("seal.json",), (in_json,), verb("judge", "FILE", "--loss", "2.2"), resealed),
    "constants": Kind(("law.json",), (in_json,), watch),
    "parquet": Kind(("runs.parquet",), (in_parquet,), verb(*TABLE)),
    "ledger": Kind(("seal.json",), (in_json,), verb("ledger", "FILE"), resealed),
    "task table": Kind(
        ("gadre2024.yaml",), (in_yaml,), said(lambda path: suite_digests([], str(path)))
    ),
    "published": Kind(("printed.yaml",), (in_yaml,), said(read_published)),
}
"""What is read, by name."""


def make(folder: Path) -> dict[str, Path]:
    """Write whole inputs of every kind and return the folder of each."""
    folder.mkdir(parents=True)
    runs(folder)
    seal = ("seal", str(folder / "runs.csv"), "--target", AIM, "--response", "loss")
    out = ("--out", str(folder / "seal.json"), "--date", "2026-01-01T00:00:00+00:00")
    with contextlib.redirect_stdout(io.StringIO()):
        status = main([*seal, *out])
    if status:
        raise RuntimeError("the seal could not be made")
    for name in STUDIES:
        shutil.copy(next(CONFIG.rglob(name)), folder / name)
    shutil.copy(TASK_FOLDER / TASK, folder / TASK)
    shutil.copy(CONFIG / "tasks" / "gadre2024.yaml", folder / "gadre2024.yaml")
    shutil.copy(CONFIG / "published" / "gadre2024.yaml", folder / "printed.yaml")
    return {name: _own(folder, name, kind) for name, kind in KINDS.items()}


def _own(folder: Path, name: str, kind: Kind) -> Path:
    own = folder / f"of {name}"
    own.mkdir()
    others = ("curve.csv", "schedule.csv", "law.json") if kind.read is watch else ()
    for file in {*kind.files, *others}:
        shutil.copy(folder / file, own)
    return own


def runs(folder: Path) -> None:
    """Write a table of runs, a curve, a schedule and the constants of a law."""
    rows = [
        _run(params, params * ratio)
        for params in (1e7, 3e7, 1e8, 3e8)
        for ratio in (10, 20, 40, 80)
    ]
    frame = pd.DataFrame(rows)
    frame.to_csv(folder / "runs.csv", index=False)
    frame.to_parquet(folder / "runs.parquet")
    lines = [f"{step},{3e-4 * (1 - step / 250):.6g}" for step in range(1, 201)]
    (folder / "schedule.csv").write_text("\n".join(("step,lr", *lines)) + "\n")
    losses = [f"{step},{2.5 + 2 * step**-0.5:.4f}" for step in range(1, 120)]
    (folder / "curve.csv").write_text("\n".join(("step,loss", *losses)) + "\n")
    pairs = (pair.split("=") for pair in LAW.split(","))
    (folder / "law.json").write_text(json.dumps({name: float(value) for name, value in pairs}))


def _run(params: float, tokens: float) -> dict[str, Any]:
    luck = 1e-3 * (tokens / params % 3)
    loss = 1.8 + 400 * params**-0.34 + 410 * tokens**-0.28 + luck
    name = f"{params:g}/{tokens:g}"
    return {"run": name, "dataset": "web", "params": params, "tokens": tokens, "loss": loss}
