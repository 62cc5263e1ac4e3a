"""Science settings of the stage, as the ``--params`` of ``scalebed fit-laws`` carries them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from scalebed.errors import ScalebedError
from scalebed.laws import get_law


@dataclass(frozen=True)
class Settings:
    """What to fit and how.

    Attributes
    ----------
    loss_law, error_law : str
        Names in `scalebed.laws.NAMES`.
    loss : str
        Validation set whose loss is chained into the error law.
    losses : tuple of str
        All validation sets the loss law is fitted to; `loss` comes first.
    averages : dict
        Further averages of tasks by name: the tasks, or None for all.
    every_loss : bool
        Whether all validation sets of the tables are fitted to; the JSON says null for `losses`.
    per_task : bool
        Whether single tasks get an error law of their own beside the average.
    draws : int
        Samples of the parametric bootstrap.
    level : float
        Probability content of the intervals.
    seed : int
    """

    loss_law: str
    error_law: str
    loss: str
    losses: tuple[str, ...]
    per_task: bool
    draws: int
    level: float
    seed: int
    averages: dict[str, list[str] | None] = field(default_factory=dict)
    every_loss: bool = False


_TYPES: dict[str, tuple[type, ...]] = {
    "loss_law": (str,),
    "error_law": (str,),
    "loss": (str,),
    "losses": (list, type(None)),
    "per_task": (bool,),
    "draws": (int,),
    "level": (float,),
    "seed": (int,),
    "averages": (dict,),
}


def parse_settings(text: str) -> Settings:
    """Read and check the JSON of ``--params``.

    Raises
    ------
    ScalebedError
        If it is not a JSON object with exactly the keys of `Settings`, or a value is impossible.
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ScalebedError(f"--params is not JSON: {error}") from error
    if isinstance(values, dict):
        values.setdefault("averages", {})
    if not isinstance(values, dict) or set(values) != set(_TYPES):
        found = ", ".join(sorted(values)) if isinstance(values, dict) else type(values).__name__
        raise ScalebedError(f"--params has keys {found}, expected {', '.join(sorted(_TYPES))}")
    for key, types in _TYPES.items():
        if type(values[key]) not in types:
            wanted = types[0].__name__
            raise ScalebedError(f"--params {key} is {values[key]!r}, expected {wanted}")
    return _checked(values)


def _checked(values: dict[str, Any]) -> Settings:
    get_law(values["loss_law"], "loss")
    get_law(values["error_law"], "error")
    for name in values["losses"] or ():
        if not isinstance(name, str):
            raise ScalebedError(f"--params losses holds {name!r}, expected names")
    if not 100 <= values["draws"] <= 1_000_000:
        raise ScalebedError(f"--params draws is {values['draws']}, expected 100 .. 1000000")
    if not 0 < values["level"] < 1:
        raise ScalebedError(f"--params level is {values['level']}, expected between 0 and 1")
    every = values["losses"] is None
    others = [name for name in dict.fromkeys(values["losses"] or ()) if name != values["loss"]]
    return Settings(**{**values, "losses": (values["loss"], *sorted(others))}, every_loss=every)
