"""The laws of a finished study carried to runs that nobody trained."""

from __future__ import annotations

from collections.abc import Iterator

from scalebed.core.errors import ScalebedError
from scalebed.predict.bootstrap import bootstrap
from scalebed.predict.build import build_stage, law_scatters
from scalebed.predict.forward_fit import with_evidence
from scalebed.predict.loss_stages import loss_stages
from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import AVERAGE, Row, collect_runs
from scalebed.predict.stages import Carried
from scalebed.predict.table_runs import Target


def carry(study: StudyFit, targets: tuple[Target, ...], tasks: bool = True) -> Iterator[Carried]:
    """Draw the laws of a study as it drew them, and carry them to its runs and to targets.

    The targets are the cells that `cell_of` names.

    Parameters
    ----------
    study : StudyFit
    targets : tuple of Target
    tasks : bool
        Whether error laws follow the loss laws.

    Raises
    ------
    ScalebedError
        If a target names an unknown data set.
    """
    settings = study.settings
    tables = dict(study.tables)
    tables["cells"] = [*tables["cells"], *_rows(study, targets)]
    sets = collect_runs(tables, settings.averages)
    losses = loss_stages(sets, settings.loss, settings, evidence=True)
    for runs, stage in zip(sets, losses, strict=True):
        yield Carried(runs, with_evidence(stage, runs, "loss", settings), "loss", None)
    names = [AVERAGE] if any(row["in_average"] for row in tables["tasks"]) else []
    names += list(settings.averages) if tables["tasks"] else []
    for name in names if tasks else ():
        scatters = law_scatters(sets, name, "error", settings)
        for runs, loss in zip(sets, losses, strict=True):
            stage = build_stage(runs, name, scatters, settings, bootstrap, loss)
            yield Carried(runs, with_evidence(stage, runs, "error", settings), "error", loss)


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
