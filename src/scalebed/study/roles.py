"""What each cell of a study is there for: fitted to, predicted, or measuring the scatter."""

from scalebed.core.cells import Cell, matches
from scalebed.core.errors import ScalebedError
from scalebed.study.sections import Fit, Selector


def cell_roles(cells: list[Cell], fit: Fit) -> dict[Cell, dict[str, bool]]:
    """Return, for each cell in order, what it is there for.

    The roles are ``fit_loss``, ``fit_error``, ``target`` and ``scatter``.

    Raises
    ------
    ScalebedError
        If a selector of `fit` matches no cell, or a cell is both fitted to and a target.
    """
    chosen = {
        "fit_loss": _select(cells, fit.loss_cells, "fit.loss_cells"),
        "target": _select(cells, fit.targets, "fit.targets"),
    }
    chosen["scatter"] = set(cells) - chosen["target"]
    if fit.scatter_cells is not None:
        chosen["scatter"] = _select(cells, fit.scatter_cells, "fit.scatter_cells")
    chosen["fit_error"] = chosen["fit_loss"]
    if fit.error_cells is not None:
        chosen["fit_error"] = _select(cells, fit.error_cells, "fit.error_cells")
    both = sorted(chosen["target"] & (chosen["fit_loss"] | chosen["fit_error"]))
    if both:
        raise ScalebedError(f"fit: the cell {both[0].path} is a target and fitted to as well")
    names = ("fit_loss", "fit_error", "target", "scatter")
    return {cell: {name: cell in chosen[name] for name in names} for cell in cells}


def _select(cells: list[Cell], selectors: list[Selector], where: str) -> set[Cell]:
    found = set()
    for index, selector in enumerate(selectors):
        some = {cell for cell in cells if matches(cell, selector.model_dump())}
        if not some:
            raise ScalebedError(f"{where}[{index}] matches no cell of the grid")
        found |= some
    return found
