"""The laws of a finished study carried to runs that nobody trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from scalebed.core.errors import ScalebedError
from scalebed.predict.bootstrap import bootstrap
from scalebed.predict.build import build_stage, law_scatters
from scalebed.predict.evidence import Evidence
from scalebed.predict.forward_fit import with_evidence
from scalebed.predict.loss_stages import Found, loss_stages, posteriors
from scalebed.predict.measurements import Row
from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import AVERAGE, Runs, collect_runs
from scalebed.predict.stages import Carried, Stage
from scalebed.predict.table_runs import Target


class StudyLaws:
    """The laws of a finished study, drawn as the study drew them.

    Parameters
    ----------
    study : StudyFit
    """

    def __init__(self, study: StudyFit) -> None:
        self.study = study
        self._evidence: dict[tuple[str, str], Evidence | None] = {}

    @cached_property
    def _posteriors(self) -> Found | None:
        study = self.study
        if study.settings.interval == "bootstrap":
            return None
        return posteriors(study.runs, study.settings.loss, study.settings, evidence=True)

    def carried(self, targets: tuple[Target, ...], tasks: bool = True) -> Iterator[Carried]:
        """Carry the laws to the runs of the study and to targets: the cells `cell_of` names.

        Parameters
        ----------
        targets : tuple of Target
        tasks : bool
            Whether error laws follow the loss laws.

        Raises
        ------
        ScalebedError
            If a target names an unknown data set.
        """
        study, settings = self.study, self.study.settings
        tables = dict(study.tables)
        tables["cells"] = [*tables["cells"], *_rows(study, targets)]
        sets = collect_runs(tables, settings.averages)
        found = loss_stages(sets, settings.loss, settings, found=self._posteriors)
        losses = [
            self._with_evidence(stage, runs, "loss")
            for runs, stage in zip(sets, found, strict=True)
        ]
        for runs, stage in zip(sets, losses, strict=True):
            yield Carried(runs, stage, "loss", None)
        names = [AVERAGE] if any(row["in_average"] for row in tables["tasks"]) else []
        names += list(settings.averages) if tables["tasks"] else []
        for name in names if tasks else ():
            scatters = law_scatters(sets, name, "error", settings)
            for runs, loss in zip(sets, losses, strict=True):
                stage = build_stage(runs, name, scatters, settings, bootstrap, loss)
                yield Carried(runs, self._with_evidence(stage, runs, "error"), "error", loss)

    def _with_evidence(self, stage: Stage, runs: Runs, kind: str) -> Stage:
        """Add what the data say of a law, which no target changes."""
        key = (stage.dataset, stage.response)
        if key not in self._evidence:
            found = with_evidence(stage, runs, kind, self.study.settings)
            self._evidence[key] = found.evidence
        return replace(stage, evidence=self._evidence[key])


def cell_of(dataset: str, target: Target) -> str:
    """Name a run that nobody trained among the cells of a data set."""
    return f"{dataset}/{target.cell}"


def _rows(study: StudyFit, targets: tuple[Target, ...]) -> Iterator[Row]:
    """Return cells that were never trained, of the recipe of their data set."""
    known = {runs.dataset: runs for runs in study.runs}
    for target in dict.fromkeys(targets):
        if target.dataset is not None and target.dataset not in known:
            raise ScalebedError(
                f"study {study.name} has no data set {target.dataset!r}, expected one of "
                f"{', '.join(known)}"
            )
        for name, runs in known.items():
            if target.dataset in (None, name):
                yield {
                    "cell": cell_of(name, target),
                    "dataset": name,
                    "recipe": runs.recipe or "",
                    "seed": 0,
                    "status": "asked",
                    "fit_loss": False,
                    "fit_error": False,
                    "target": True,
                    "scatter": False,
                    "params": target.params,
                    "tokens": target.tokens,
                    "flops": 6 * target.params * target.tokens,
                    "epochs": target.tokens / target.seen,
                }
