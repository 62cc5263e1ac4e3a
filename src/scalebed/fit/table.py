"""Fit the laws to a plain table of runs and predict targets; no study is needed.

Up to `LARGE` finished runs a data set goes through the joint bootstrap of a study; above, the
parameters are drawn by the delta method of `scalebed.fit.large`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scalebed import __version__
from scalebed.errors import ScalebedError
from scalebed.fit.joint import Stage, error_stage, loss_stage
from scalebed.fit.large import LARGE, METHOD, fit_large, large_stage
from scalebed.fit.noise import Scatter, scatter_of
from scalebed.fit.result import FitRefusedError, FitResult, fit_law
from scalebed.fit.rows import fit_row, parameter_rows
from scalebed.fit.runs import Runs
from scalebed.fit.settings import Settings
from scalebed.importers.runs import RunTable, about, notes
from scalebed.laws import get_law
from scalebed.laws.base import Array, Index

# From here on own residuals serve better than other data sets: they give sigma to 22 %.
_OWN_DOF: Final = 10
_QUANTILE: Final = "inverted_cdf"

Record = dict[str, Any]
Grids = dict[str, Scatter | None]


@dataclass(frozen=True)
class Target:
    """A run to predict: N, D and the data set, None for all of them."""

    params: float
    tokens: float
    dataset: str | None = None


@dataclass(frozen=True)
class _Group:
    """The finished runs of one data set, in canonical order, and its targets."""

    table: RunTable
    dataset: str
    rows: Index
    targets: tuple[Target, ...]

    @property
    def large(self) -> bool:
        return self.rows.size > LARGE

    @property
    def cells(self) -> tuple[str, ...]:
        """Names for the random streams; they do not depend on the order of the table."""
        return tuple(f"target/{target.params:.17g}/{target.tokens:.17g}" for target in self.targets)

    def points(self, response: str) -> tuple[tuple[Array, ...], Array, Array]:
        """Return inputs, values and sampling errors of the law of one response."""
        table, loss = self.table, self.table.losses["loss"]
        if response in table.losses:
            values = table.losses[response]
            at = self.rows[np.isfinite(values[self.rows])]
            return (table.params[at], table.tokens[at]), values[at], np.zeros(1)
        values = table.errors[response]
        at = self.rows[np.isfinite(values[self.rows])]
        return (loss[at],), values[at], self.sampling(response, at)

    def sampling(self, response: str, at: Index) -> Array:
        """Return the standard error of errors; 0 if not given, the scatter then contains it."""
        given = self.table.stderr
        if response != "error" or given is None:
            return np.zeros(at.size)
        return np.nan_to_num(given[at])


def fit_table(table: RunTable, targets: tuple[Target, ...], settings: Settings) -> Record:
    """Fit every law to every data set of a table.

    Parameters
    ----------
    table : RunTable
    targets : tuple of Target
    settings : Settings
        Every column of the table is fitted, whatever `losses` and `per_task` say.

    Returns
    -------
    dict
        The content of the JSON file, see docs/fit.md.

    Raises
    ------
    ScalebedError
        If no data set has a loss law, or a target names an unknown data set.
    """
    groups = _groups(table, targets)
    fits: list[Record] = []
    predictions: list[Record] = []
    kept: dict[str, Stage] = {}
    for response in (*table.losses, *table.errors):
        kind = "loss" if response in table.losses else "error"
        found = {group.dataset: _fit(group, response, kind, settings) for group in groups}
        for group in groups:
            grids = _grids(group, groups, response, found)
            runs = _runs(group)
            loss = kept.get(group.dataset)
            stage = _stage(group, runs, response, found[group.dataset], grids, loss, settings)
            if response == "loss":
                kept[group.dataset] = stage
            fits.append(_fit_record(group, runs, stage, kind, settings))
            predictions.extend(_predictions(group, stage, kind, loss, settings))
    if all(stage.fit is None for stage in kept.values()):
        reasons = "; ".join(f"{name}: {stage.reason}" for name, stage in kept.items())
        said = "; ".join([reasons, *(note for note in notes(table) if "finite loss:" in note)])
        raise ScalebedError(f"{table.path}: the {settings.loss_law} law is refused ({said})")
    return {
        "schema": "scalebed.fit",
        "version": 1,
        "scalebed": __version__,
        "table": about(table),
        "settings": {
            key: getattr(settings, key)
            for key in ("loss_law", "error_law", "draws", "level", "seed")
        },
        "fits": fits,
        "predictions": predictions,
        "warnings": list(notes(table)),
    }


def _groups(table: RunTable, targets: tuple[Target, ...]) -> list[_Group]:
    import pandas

    codes, names = pandas.factorize(table.dataset, sort=True)
    for target in targets:
        if target.dataset is not None and target.dataset not in set(names):
            raise ScalebedError(
                f"--target: {table.path} has no data set {target.dataset!r}, "
                f"expected one of {', '.join(names)}"
            )
    order = np.lexsort((table.losses["loss"], table.tokens, table.params))
    order = order[table.finished[order]]
    return [
        _Group(
            table,
            str(name),
            order[codes[order] == code],
            tuple(target for target in targets if target.dataset in (None, name)),
        )
        for code, name in enumerate(names)
    ]


def _fit(group: _Group, response: str, kind: str, settings: Settings) -> FitResult | str:
    """Fit one law; why not, if it is refused."""
    law = get_law(settings.loss_law if kind == "loss" else settings.error_law, kind)
    x, y, _ = group.points(response)
    try:
        return fit_large(law, x, y) if group.large else fit_law(law, x, y)
    except FitRefusedError as refused:
        return str(refused)


def _grids(
    group: _Group, groups: list[_Group], response: str, found: dict[str, FitResult | str]
) -> Grids:
    """Scatter of the other data sets, where this one's own residuals are too few."""
    own = found[group.dataset]
    if isinstance(own, str) or own.certificate.degrees_of_freedom >= _OWN_DOF:
        return {}
    grids: Grids = {}
    for other in groups:
        fit, (_, _, sampling) = found[other.dataset], other.points(response)
        grids[other.dataset] = None if isinstance(fit, str) else scatter_of(fit, sampling)
    return grids


def _runs(group: _Group) -> Runs:
    """Columns for the joint bootstrap: the runs, then the targets; only targets if large."""
    table = group.table
    rows = group.rows[:0] if group.large else group.rows
    targets = group.targets
    blank = np.full(len(targets), np.nan)
    params = np.append(table.params[rows], [target.params for target in targets])
    tokens = np.append(table.tokens[rows], [target.tokens for target in targets])
    inside = np.arange(params.size) < rows.size
    sampling = {name: np.append(group.sampling(name, rows), blank) for name in table.errors}
    return Runs(
        dataset=group.dataset,
        cells=(*_cells(table, rows), *group.cells),
        recipes=("table",) * params.size,
        params=params,
        tokens=tokens,
        flops=6 * params * tokens,
        fit_loss=inside,
        fit_error=inside,
        target=~inside,
        losses={name: np.append(values[rows], blank) for name, values in table.losses.items()},
        errors={name: np.append(values[rows], blank) for name, values in table.errors.items()},
        sampling=sampling,
        absent=(),
    )


def _cells(table: RunTable, rows: Index) -> Iterator[str]:
    """Names of runs: as given, else N, D and a count of the runs that share them."""
    seen: dict[str, int] = {}
    for row in rows.tolist():
        name = f"{table.params[row]:.17g}/{table.tokens[row]:.17g}"
        seen[name] = seen.get(name, 0) + 1
        yield f"run/{table.run[row]}" if table.run is not None else f"{name}/{seen[name]}"


def _stage(
    group: _Group,
    runs: Runs,
    response: str,
    fit: FitResult | str,
    grids: Grids,
    loss: Stage | None,
    settings: Settings,
) -> Stage:
    if group.large:
        chained = None if response in group.table.losses else loss
        return large_stage(runs, response, fit, group.points(response), grids, chained, settings)
    if response in group.table.losses or loss is None:
        return loss_stage(runs, response, grids, settings)
    return error_stage(runs, response, loss, grids, settings)


def _fit_record(group: _Group, runs: Runs, stage: Stage, kind: str, settings: Settings) -> Record:
    law = get_law(stage.law)
    row = fit_row(stage, runs, kind)
    kept = [
        "kind",
        "dataset",
        "response",
        "points",
        "degrees_of_freedom",
        "rmse",
        "sigma",
        "sigma_source",
        "converged",
        "bounds_hit",
        "status",
        "reason",
        "verdict",
    ]
    method = METHOD if group.large else "parametric bootstrap, joint with the errors"
    values = [column[group.rows] for column in (group.table.params, group.table.tokens)]
    return {key: row[key] for key in kept} | {
        "law": f"{law.name}@{law.version}",
        "formula": law.formula,
        "sigma_dof": stage.sigma.dof if stage.sigma else None,
        "method": "none" if stage.theta is None else f"{method}, {settings.draws} draws",
        "range": {
            name: [float(column.min()), float(column.max())] if column.size else None
            for name, column in zip(("params", "tokens"), values, strict=True)
        },
        "parameters": {
            found["parameter"]: {key: found[key] for key in ("value", "lower", "upper", "unit")}
            for found in parameter_rows(stage, kind, settings.level)
        },
    }


def _predictions(
    group: _Group, stage: Stage, kind: str, loss: Stage | None, settings: Settings
) -> Iterator[Record]:
    start = 0 if group.large else group.rows.size
    tails = ((1 - settings.level) / 2, (1 + settings.level) / 2)
    largest = float(
        np.max(6 * group.table.params[group.rows] * group.table.tokens[group.rows], initial=0.0)
    )
    reason = stage.reason or (loss.reason if kind == "error" and loss is not None else None)
    for i, target in enumerate(group.targets, start):
        limits: list[float | None] = [None, None]
        if stage.draws is not None:
            limits = np.quantile(stage.draws[:, i], tails, method=_QUANTILE).tolist()
        flops = 6 * target.params * target.tokens
        yield {
            "dataset": group.dataset,
            "kind": kind,
            "response": stage.response,
            "params": target.params,
            "tokens": target.tokens,
            "flops": flops,
            "times_largest_run": flops / largest if largest else None,
            "predicted": None if stage.point is None else float(stage.point[i]),
            "lower": limits[0],
            "upper": limits[1],
            "level": settings.level,
            "reason": reason,
        }
