"""The fitted laws of a study with their draws, as functions of N and D."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Index, Law
from scalebed.predict.loss_stages import Found
from scalebed.predict.luck import Cells
from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import Runs

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Fitted:
    """One law of one data set.

    Attributes
    ----------
    law : Law
    theta : array (1 + draws, p)
        The fit, then its draws; draw i belongs to the same world in all laws of a data set.
    sigma : float
        Scatter of single runs: relative for a loss, absolute for an error; NaN if not known.
    verdict : str
    chance : float
        Error of guessing, NaN if not known.
    """

    law: Law
    theta: Array
    sigma: float
    verdict: str
    chance: float = np.nan

    def value(self, params: Array, tokens: Array, loss: Array | None = None) -> Array:
        """Value for the fit and each draw at one run each, (1 + draws,)."""
        known: dict[str, Array] = {
            "params": params,
            "tokens": tokens,
            "flops": 6 * params * tokens,
            "unique_tokens": tokens,
            "chance": np.full(params.shape, self.chance),
        }
        if loss is not None:
            known["loss"] = loss
        x = tuple(known[name][:, None] for name in self.law.inputs)
        found: Array = self.law.predict(self.theta, x)[:, 0]
        return found


@dataclass(frozen=True)
class Frames:
    """Tables ``fits``, ``fit_parameters`` and ``draws`` of a study as data frames.

    Attributes
    ----------
    fits, fit_parameters, draws : DataFrame
    known : dict
        What `fitted` has returned, by kind, data set and response: contrasts share their laws.
    cells, posteriors : dict
        The same of `scalebed.checks.contrasts.joint.cells`, and of the posteriors by response.
    """

    fits: pandas.DataFrame
    fit_parameters: pandas.DataFrame
    draws: pandas.DataFrame
    known: dict[tuple[str, str, str], Fitted | str] = field(default_factory=dict)
    cells: dict[tuple[str, str, str], Cells | None] = field(default_factory=dict)
    posteriors: dict[str, Found] = field(default_factory=dict)


@dataclass(frozen=True)
class Side:
    """One data set of a contrast.

    Attributes
    ----------
    runs : Runs
    response : str
    loss : Fitted
    error : Fitted or None
        If an error is compared.
    cells : tuple of Cells or None
        How the runs of the fit lie about each law.
    """

    runs: Runs
    response: str
    loss: Fitted
    error: Fitted | None
    cells: tuple[Cells | None, ...] = ()

    def values(self, flops: Array, ratio: float) -> Array:
        """Loss or error of the fit and each draw, at one compute each and M = D / N."""
        params = np.sqrt(flops / (6 * ratio))
        loss = self.loss.value(params, ratio * params)
        if self.error is None:
            return loss
        return self.error.value(params, ratio * params, loss)

    def named(self, name: str) -> Side:
        """Return the same under another name, which has random streams of its own."""
        return replace(self, runs=replace(self.runs, dataset=name))

    def shuffled(self, rng: np.random.Generator) -> Side:
        """Return the same with its draws in another order, the same for both laws."""
        return self.ordered(rng.permutation(len(self.last.theta) - 1))

    def first(self, draws: int) -> Side:
        """Return the same with fewer draws."""
        return self.ordered(np.arange(draws))

    def ordered(self, order: Index) -> Side:
        """Return some of the draws, the same of both laws."""
        index = np.concatenate([[0], 1 + order])
        laws = [f and replace(f, theta=f.theta[index]) for f in (self.loss, self.error)]
        cells = tuple(c and replace(c, moved=c.moved[order]) for c in self.cells)
        return Side(self.runs, self.response, laws[0] or self.loss, laws[1], cells)

    @property
    def last(self) -> Fitted:
        """The law of what is compared."""
        return self.error or self.loss


def study_tables(study: StudyFit, responses: Sequence[str]) -> Frames:
    """Tables of some responses.

    They are read from the folder of the study; the laws are fitted again where they are not there.
    """
    import pyarrow.compute

    from scalebed.tables.arrow import read_parquet

    names = ("fits", "fit_parameters", "draws")
    paths = {name: study.folder / "fits" / f"{name}.parquet" for name in names}
    if all(path.is_file() for path in paths.values()):
        found = {name: read_parquet(paths[name]).to_pandas() for name in names[:2]}
        if set(responses) <= set(found["fits"]["response"]):
            draws = read_parquet(paths["draws"])
            wanted = pyarrow.compute.is_in(draws["response"], pyarrow.array(list(responses)))
            return Frames(found["fits"], found["fit_parameters"], draws.filter(wanted).to_pandas())
    return _refitted(study, responses)


def _refitted(study: StudyFit, responses: Sequence[str]) -> Frames:
    from scalebed.predict.study import fit_study

    tasks = {row["task"] for row in study.tables["tasks"]}
    losses = {row["validation"] for row in study.tables["losses"]}
    own = study.settings.loss
    more = sorted(losses & set(responses) - {own})
    single = bool(tasks & set(responses))
    settings = replace(study.settings, per_task=single, losses=(own, *more), every_loss=False)
    tables = fit_study(study.tables, settings)
    names = ("fits", "fit_parameters", "draws")
    return Frames(*(tables[name].to_pandas() for name in names))


def fitted(frames: Frames, runs: Runs, kind: str, response: str) -> Fitted | str:
    """Return the law of a response of one data set, or why there is none.

    Parameters
    ----------
    frames : Frames
        From `study_tables`.
    runs : Runs
    kind : {"loss", "error"}
    response : str
    """
    key = (kind, runs.dataset, response)
    if key not in frames.known:
        frames.known[key] = _fitted(frames, runs, kind, response)
    return frames.known[key]


def _fitted(frames: Frames, runs: Runs, kind: str, response: str) -> Fitted | str:
    fits = frames.fits
    rows = fits[(fits["kind"] == kind) & (fits["dataset"] == runs.dataset)]
    rows = rows[rows["response"] == response]
    if rows.empty:
        return f"{runs.dataset} has no {kind} law of {response}"
    row = rows.iloc[0]
    if row["status"] != "fitted":
        return f"the {kind} law of {runs.dataset} is refused ({row['reason']})"
    law = get_law(row["law"])
    order = [parameter.name for parameter in law.parameters]
    found = frames.fit_parameters
    values = found[found["fit"] == row["fit"]].set_index("parameter")["value"]
    theta = values.reindex(order).to_numpy(float)[None]
    theta = np.concatenate([theta, *_drawn(frames.draws, (kind, runs.dataset, response), order)])
    chance = runs.chance.get(response, np.full(1, np.nan))
    sigma = float(row["sigma"]) if row["sigma"] is not None else np.nan
    return Fitted(law, theta, sigma, str(row["verdict"]), float(chance[0]) if chance.size else 0.0)


def _drawn(draws: pandas.DataFrame, key: tuple[str, str, str], order: list[str]) -> list[Array]:
    """Parameters of every draw of one law, (draws, p); nothing if it has no draws."""
    kind, dataset, response = key
    own = (draws["response"] == response) & (draws["dataset"] == dataset) & (draws["kind"] == kind)
    if not own.any():
        return []
    table = draws[own].pivot_table(index="draw", columns="parameter", values="value")
    return [table[order].sort_index().to_numpy(float)]


def find_runs(study: StudyFit, dataset: str) -> Runs:
    """Return the runs of a data set.

    Raises
    ------
    ScalebedError
        If the study has none of that name.
    """
    for runs in study.runs:
        if runs.dataset == dataset:
            return runs
    known = ", ".join(runs.dataset for runs in study.runs)
    raise ScalebedError(f"study {study.name} has no data set {dataset!r}, expected one of {known}")
