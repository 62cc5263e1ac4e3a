"""Studies that search for hyper-parameters: every run is a cell, the outcome another study."""

from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError
from scalebed.study.figures import check_plots
from scalebed.study.fit_sections import Fit
from scalebed.study.search_runs import Expanded, Run, expand
from scalebed.study.search_sections import Search
from scalebed.study.sections import (
    Block,
    Bootstrap,
    Budget,
    Dataset,
    Name,
    Suite,
)
from scalebed.study.trained import Measured, Study, check_study
from scalebed.study.yaml import first_complaint

CARRIED = ("corpora", "tokenizers", "datasets", "validation", "tasks", "allow_repeats")
"""Sections that the proposed ladder takes over as they are."""


class SearchStudy(Measured):
    """A hyper-parameter search whose runs are ordinary cells and whose outcome is a study file."""

    name: Name
    """Name of the search; results lie in results/studies/<name>."""
    datasets: Annotated[dict[Name, Dataset], Field(min_length=1)]
    """Training distributions by name; the ladder is trained on all of them."""
    tasks: Suite | None = None
    """Downstream tasks of the ladder; the runs of the search are not evaluated on them."""
    search: Search
    """What is tried and what is proposed; a study file with this key searches."""
    bootstrap: Bootstrap = Bootstrap()
    """How uncertainty is drawn, here and in the ladder."""
    budget: Budget = Budget()
    """What the search may cost."""
    allow_repeats: bool = False
    """Whether a run may see its data more than once."""
    figures: dict[Name, dict[str, Any]] = {}
    """Options of figures by figure name; changing them redraws figures and nothing else."""

    @model_validator(mode="after")
    def _references(self) -> Self:
        check_plots(self.figures)
        for key in ("dataset", "loss"):
            names = self.datasets if key == "dataset" else self.validation
            if (value := getattr(self.search, key)) not in names:
                raise ValueError(f"search.{key}: there is no {value!r} but {', '.join(names)}")
        for name in self.search.ladder.datasets or ():
            if name not in self.datasets:
                raise ValueError(
                    f"search.ladder.datasets: there is no {name!r} but {', '.join(self.datasets)}"
                )
        return self

    def expanded(self) -> Expanded:
        """Return the sizes, recipes and runs that the search stands for."""
        return expand(self.search)

    def cell(self, run: Run) -> Cell:
        """Return the cell of a run."""
        search = self.search
        return Cell(search.dataset, run.size, search.ratio, run.recipe, search.seed)

    def study(self) -> Study:
        """Return the runs as an ordinary study without a fit.

        Raises
        ------
        ValueError
            If the search does not expand, or the sections do not agree.
        """
        found = self.expanded()
        sizes: dict[str, list[str]] = {}
        for run in found.runs:
            sizes.setdefault(run.recipe, []).append(run.size)
        search = self.search
        blocks = [
            Block(
                datasets=[search.dataset],
                sizes=names,
                ratios=[search.ratio],
                recipes=[recipe],
                seeds=[search.seed],
            )
            for recipe, names in sizes.items()
        ]
        shared = ("name", "title", "bootstrap", "budget", "tracking", *CARRIED)
        return Study(
            **{name: getattr(self, name) for name in shared if name != "tasks"},
            sizes=found.sizes,
            recipes=found.recipes,
            grid=blocks,
            fit=Fit(loss=search.loss, loss_cells=[]),
            checks=[],
        )


def parse_search(values: dict[str, Any], where: str) -> SearchStudy:
    """Return the search that `values` describe.

    Raises
    ------
    ScalebedError
        If a key is unknown or missing, a value is impossible, or the search does not expand.
    """
    try:
        search = SearchStudy.model_validate(values)
        check_study(search.study())
    except ValidationError as error:
        raise ScalebedError(f"{where}: {first_complaint(error)}") from error
    except (ScalebedError, ValueError) as error:
        raise ScalebedError(f"{where}: {error}") from error
    return search
