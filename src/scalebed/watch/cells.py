"""Watch the cells of a study while it runs: those that are done are the ladder of the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from scalebed.core.arithmetic import count_params, steps_for
from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.laws.forms.base import Array
from scalebed.study.load import load_any
from scalebed.study.search import SearchStudy
from scalebed.study.trained import Study
from scalebed.watch.follow import Watched, watch_ladder
from scalebed.watch.ladder import Rung, rung_of, window
from scalebed.watch.live import LiveCurve, read_live

CELLS: Final = "results/cells"
STATE: Final = "state"
_POINTS: Final = 2000


@dataclass(frozen=True)
class Standing:
    """Where a cell of a study stands.

    Attributes
    ----------
    cell : Cell
    state : str
        ``done``, ``diverged``, ``failed``, ``running`` or ``waiting``.
    watched : Watched or None
        None for one that has no curve, or no ladder.
    reason : str
        Why it is not watched.
    """

    cell: Cell
    state: str
    watched: Watched | None
    reason: str

    @property
    def line(self) -> str:
        """One line for people."""
        head = f"{self.cell.path}: {self.state}"
        if self.watched is None or self.watched.forecast is None:
            said = self.reason or (self.watched.untold if self.watched else "") or ""
            text = f"{head}{', ' if said else ''}{said}"
        else:
            found = self.watched.forecast
            middle, low, high = found.end
            text = (
                f"{head}, {found.fraction:.0%}, {found.verdict} ({np.expm1(found.off):+.2%}), "
                f"end {middle:.4f} [{low:.4f}, {high:.4f}]"
            )
        warned = self.watched.warnings if self.watched else ()
        return "; ".join([text, *warned])


def watch_cells(path: Path, root: Path, level: float) -> Iterator[Standing]:
    """Yield where every cell of a study file stands, by the training loss.

    Parameters
    ----------
    path : Path
        Study file.
    root : Path
        Folder of ``results`` and ``state``.
    level : float

    Raises
    ------
    ScalebedError
        If the study trains nothing.
    """
    study = load_any(path)
    if isinstance(study, SearchStudy):
        study = study.study()
    if not isinstance(study, Study):
        raise ScalebedError(f"{path} imports its cells: there is nothing to watch")
    cells = study.cells()
    done = {cell: rung for cell in cells if (rung := _finished(study, cell, root)) is not None}
    for cell in cells:
        ladder = [
            rung
            for other, rung in done.items()
            if other != cell and (other.dataset, other.recipe) == (cell.dataset, cell.recipe)
        ]
        yield _standing(study, cell, root, ladder, level)


def _size(study: Study, cell: Cell) -> tuple[int, int, int]:
    """Return N, steps and tokens of a step."""
    size = study.sizes[cell.size]
    batch = study.recipe_values(cell.recipe, cell.size).batch_sequences * size.context
    params = count_params(size).total
    return params, steps_for(params, cell.ratio, batch), batch


def _finished(study: Study, cell: Cell, root: Path) -> Rung | None:
    folder = root / CELLS / cell.path
    record = _record(folder)
    if record is None or record["status"] != "done":
        return None
    curve = read_live(folder / "curve.parquet")
    end = window(curve.tokens / curve.tokens[-1], curve.loss, 1.0)
    if end is None:
        return None
    return rung_of(
        cell.path, _size(study, cell)[0], curve.tokens[-1], end.value, curve.tokens, curve.loss,
        curve.lr,
    )  # fmt: skip


def _record(folder: Path) -> dict[str, Any] | None:
    path = folder / "metrics.json"
    return dict(read_json(path)) if path.exists() else None


def _standing(study: Study, cell: Cell, root: Path, ladder: list[Rung], level: float) -> Standing:
    params, steps, batch = _size(study, cell)
    record = _record(root / CELLS / cell.path)
    if record is not None:
        state, curve = str(record["status"]), None
        if state == "done":
            curve = read_live(root / CELLS / cell.path / "curve.parquet")
    else:
        curve = _running(root / STATE / cell.path, batch)
        state = "waiting" if curve is None else "running"
    if curve is None:
        return Standing(cell, state, None, (record or {}).get("reason") or "")
    target = float(params), float(steps * batch)
    try:
        watched = watch_ladder(curve, ladder, target, prior=None, level=level)
    except ScalebedError as error:
        at = f"{curve.tokens[-1] / target[1]:.0%}"
        return Standing(cell, state, None, f"{at}, not compared: {error}")
    return Standing(cell, state, watched, "")


def _running(folder: Path, batch: int) -> LiveCurve | None:
    """Return the curve in the newest checkpoint of a cell; None without one."""
    from safetensors import safe_open

    found = sorted(folder.glob("*/step-*.safetensors"), key=lambda path: path.stat().st_mtime)
    if not found:
        return None
    with safe_open(found[-1], framework="np") as file:
        loss = np.asarray(file.get_tensor("curve"), float)[:, 0]
    every = max(1, loss.size // _POINTS)
    steps: Array = np.arange(loss.size, dtype=float)[::every]
    blank, nothing = np.full(steps.size, np.nan), np.zeros(0)
    seen = (steps + 1) * batch
    return LiveCurve(str(found[-1]), steps, seen, loss[::every], blank, nothing, nothing)
