"""What each cell of a study is there for: fitted to, predicted, or measuring the scatter."""

from collections.abc import Mapping

from scalebed.core.cells import Amounts, Cell, choose
from scalebed.core.errors import ScalebedError
from scalebed.study.fit_sections import Fit
from scalebed.study.sections import Recipe, Selector


def cell_roles(
    cells: list[Cell], fit: Fit, amounts: Amounts | None = None
) -> dict[Cell, dict[str, bool]]:
    """Return, for each cell in order, what it is there for.

    The roles are ``fit_loss``, ``fit_error``, ``target`` and ``scatter``.

    Parameters
    ----------
    cells, fit
    amounts
        N, D and C of the cells, for selectors that choose by ranges.

    Raises
    ------
    ScalebedError
        If a selector of `fit` or a value in it matches no cell, or a cell is both fitted to and a
        target.
    """

    def select(selectors: list[Selector], where: str) -> set[Cell]:
        return {
            cell
            for index, selector in enumerate(selectors)
            for cell in choose(cells, selector.model_dump(), f"{where}[{index}]", amounts)
        }

    chosen = {
        "fit_loss": select(fit.loss_cells, "fit.loss_cells"),
        "target": select(fit.targets, "fit.targets"),
    }
    chosen["scatter"] = set(cells) - chosen["target"]
    if fit.scatter_cells is not None:
        chosen["scatter"] = select(fit.scatter_cells, "fit.scatter_cells")
    chosen["fit_error"] = chosen["fit_loss"]
    if fit.error_cells is not None:
        chosen["fit_error"] = select(fit.error_cells, "fit.error_cells")
    both = sorted(chosen["target"] & (chosen["fit_loss"] | chosen["fit_error"]))
    if both:
        raise ScalebedError(f"fit: the cell {both[0].path} is a target and fitted to as well")
    names = ("fit_loss", "fit_error", "target", "scatter")
    return {cell: {name: cell in chosen[name] for name in names} for cell in cells}


def check_seal(
    found: Mapping[Cell, Mapping[str, bool]], fit: Fit, recipes: Mapping[str, Recipe]
) -> None:
    """Check that what is to be sealed can be predicted without the targets.

    Parameters
    ----------
    found
        What each cell is there for, see `cell_roles`.
    fit, recipes

    Raises
    ------
    ScalebedError
        If `fit` asks for a seal, and there is no target, the scatter is estimated from one, or one
        was trained elsewhere.
    """
    if not fit.seal:
        return
    targets = [cell for cell, role in found.items() if role["target"]]
    if not targets:
        raise ScalebedError("fit.seal is true, but fit.targets names no cell to predict")
    for cell in targets:
        if found[cell]["scatter"]:
            raise ScalebedError(
                f"fit.seal is true, but fit.scatter_cells has the target {cell.path}, which trains "
                "after the seal"
            )
        if recipes[cell.recipe].source != "training":
            raise ScalebedError(
                f"fit.seal is true, but the target {cell.path} is taken from a checkpoint, which "
                "was trained before anything could be sealed"
            )
