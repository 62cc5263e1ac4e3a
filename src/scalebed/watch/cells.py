"""Watch the cells of a study while it runs: those that are done are the ladder of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from scalebed.core.arithmetic import count_params
from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.study.load import load_any
from scalebed.study.search import SearchStudy
from scalebed.study.trained import Study
from scalebed.watch.follow import Watched, watch_ladder
from scalebed.watch.ladder import Rung, rung_of, window
from scalebed.watch.live import read_live
from scalebed.watch.running import running

CELLS: Final = "results/cells"


@dataclass(frozen=True)
class Standing:
    """Where a cell of a study stands.

    Attributes
    ----------
    cell : Cell
    state : str
        ``done``, ``diverged``, ``failed``, ``running``, ``on its trunk`` or ``waiting``.
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


def watch_cells(
    path: Path, root: Path, level: float, parameters: Callable[[Study, Cell], Mapping[str, Any]]
) -> Iterator[Standing]:
    """Yield where every cell of a study file stands, by the training loss.

    Parameters
    ----------
    path : Path
        Study file.
    root : Path
        Folder of ``results`` and ``state``.
    level : float
    parameters : callable
        Of a cell of the study, as `scalebed.plan.rule_params.cell`.

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
        params = float(count_params(study.sizes[cell.size]).total)
        yield _standing(cell, parameters(study, cell), params, root, ladder, level)


def _finished(study: Study, cell: Cell, root: Path) -> Rung | None:
    folder = root / CELLS / cell.path
    record = _record(folder)
    if record is None or record["status"] != "done":
        return None
    curve = read_live(folder / "curve.parquet")
    end = window(curve.tokens / curve.tokens[-1], curve.loss, 1.0)
    if end is None:
        return None
    params = count_params(study.sizes[cell.size]).total
    seen = curve.tokens
    return rung_of(cell.path, params, seen[-1], end.value, seen, curve.loss, curve.lr)


def _record(folder: Path) -> dict[str, Any] | None:
    path = folder / "metrics.json"
    return dict(read_json(path)) if path.exists() else None


def _standing(
    cell: Cell,
    spec: Mapping[str, Any],
    params: float,
    root: Path,
    ladder: list[Rung],
    level: float,
) -> Standing:
    record = _record(root / CELLS / cell.path)
    state, curve = "waiting", None
    if record is not None:
        state = str(record["status"])
        if state == "done":
            curve = read_live(root / CELLS / cell.path / "curve.parquet")
    elif (found := running(root, cell, spec)) is not None:
        state, curve = found
    if curve is None:
        return Standing(cell, state, None, (record or {}).get("reason") or "")
    target = params, float(spec["tokens"])
    try:
        watched = watch_ladder(curve, ladder, target, prior=None, level=level)
    except ScalebedError as error:
        at = f"{curve.tokens[-1] / target[1]:.0%}"
        return Standing(cell, state, None, f"{at}, not compared: {error}")
    return Standing(cell, state, watched, "")
