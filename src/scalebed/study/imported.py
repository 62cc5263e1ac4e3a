"""Studies that import their cells instead of training them."""

from typing import Any, Literal, Self

from pydantic import model_validator

from scalebed.core.values import RunFormat
from scalebed.study.checks import Check
from scalebed.study.figures import check_plots
from scalebed.study.fit_checks import check_laws
from scalebed.study.fit_sections import Fit
from scalebed.study.sections import Bootstrap, Name, Strict

ROLES = ("loss_cells", "error_cells", "targets", "scatter_cells")
"""Keys of `fit` that say what a cell is there for."""


class Source(Strict):
    """Where imported cells come from."""

    importer: Literal["testbed", "table"] | RunFormat
    """`testbed` reads the published testbed of arXiv 2403.08540, `table` a CSV or parquet file, the
    others what trackers and papers write, see docs/tables.md."""
    path: str | None = None
    """File or folder; `--config testbed=PATH` replaces it. A testbed without path is fetched."""
    options: dict[str, Any] = {}
    """Options of the importer, see docs/tables.md."""

    @model_validator(mode="after")
    def _needs(self) -> Self:
        if self.importer != "testbed" and self.path is None:
            raise ValueError(f"the importer {self.importer} needs path")
        return self


class ImportedStudy(Strict):
    """A study of cells that others trained: no text, sizes or recipes, only results."""

    name: Name
    """Name of the study; results lie in results/studies/<name>."""
    title: str
    """Heading of the report."""
    source: Source
    """Where the cells come from; a study file with this key imports."""
    average: list[str] | None = None
    """Tasks in the average error; all of them when left out."""
    fit: Fit
    """Which cells are fitted and predicted."""
    bootstrap: Bootstrap = Bootstrap()
    """How uncertainty is drawn."""
    checks: list[Check] = ["decisions", "calibration", "reliability", "contrasts"]
    """What the study measures about itself: coverage of the intervals, which tasks can be
    predicted, data sets pair by pair, and (minutes) a `tournament` of all laws."""
    published: str | None = None
    """A YAML file of printed numbers to compare with, see docs/import.md."""
    figures: dict[Name, dict[str, Any]] = {}
    """Figures of the report by name, with their options; `plot` says which figure it is if the
    name does not. The usual ones when left out."""

    @model_validator(mode="after")
    def _laws(self) -> Self:
        check_laws(self.fit)
        check_plots(self.figures)
        if self.fit.seal:
            raise ValueError(
                "fit.seal is true, but imported cells were trained before anything could be sealed"
            )
        return self
