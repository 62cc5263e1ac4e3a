"""Which explorations there are and what each can be asked; importing this module costs nothing.

An exploration of the name of a figure computes what that figure shows. Its options stand among
those of the figure in a study file: they compute anew, all others only draw anew.
"""

from collections.abc import Mapping
from typing import Any

from scalebed.core.errors import ScalebedError

SEARCH_LAWS = "search_laws"
"""The exploration that the report of a study of imported cells shows."""

OPTIONS: dict[str, dict[str, Any]] = {
    "exponent_by_ratio": {"min_ratio": 0.0, "draws": 500, "seed": 0},
    "search_funnel": {"draws": 500, "seed": 0, "max_loss": 0.0, "reach": 0.0},
    "inclusion_threshold": {"reference": "", "least": -5.0, "most": 40.0, "size": ""},
    "subset_designs": {"dataset": "", "size": "", "ratio": 0.0, "max_ratio": 0.0}
    | {"designs": 400, "seed": 0},
    SEARCH_LAWS: {},
}
"""Options of every exploration with their defaults."""


def explorations(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what has to be computed for figures, by their names.

    Parameters
    ----------
    figures
        ``{name: {"plot", "title", "options"}}``, as `scalebed.plan.rule_params.figures` has them.

    Returns
    -------
    dict
        ``{name: {"exploration", "options"}}`` of those that have an exploration.
    """
    return {
        name: {
            "exploration": figure["plot"],
            "options": {
                key: value
                for key, value in figure["options"].items()
                if key in OPTIONS[figure["plot"]]
            },
        }
        for name, figure in figures.items()
        if figure["plot"] in OPTIONS
    }


def complete(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an exploration with defaults for what is not given.

    Raises
    ------
    ScalebedError
        If there is no such exploration, or an option is unknown or of another type.
    """
    if name not in OPTIONS:
        known = ", ".join(OPTIONS)
        raise ScalebedError(f"no exploration is called {name!r}, expected one of {known}")
    for key, value in given.items():
        if key not in OPTIONS[name]:
            known = ", ".join(OPTIONS[name]) or "none"
            raise ScalebedError(f"exploration {name}: unknown option {key!r}; there is {known}")
        default = OPTIONS[name][key]
        if type(value) not in ((int, float) if isinstance(default, float) else (type(default),)):
            raise ScalebedError(
                f"exploration {name}: option {key!r} is {value!r}, "
                f"expected a value like {default!r}"
            )
    return OPTIONS[name] | dict(given)
