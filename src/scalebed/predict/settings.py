"""Science settings of the stage, as the ``--params`` of ``scalebed fit-laws`` carries them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from scalebed.core.errors import ScalebedError
from scalebed.fit.options import Options
from scalebed.laws import get_law

KINDS: Final = ("loss", "error")
WEIGHTS: Final = ("equal", "evaluation")


@dataclass(frozen=True)
class Pool:
    """One more fit of the loss law over all data sets together.

    Attributes
    ----------
    parameters : list of str
        What the data sets share or draw together.
    spread : float or "auto"
        See `scalebed.fit.pooling.fit`; ``"auto"`` leaves it to cross-validation.
    objective, delta
        As in `Options`.
    """

    parameters: list[str]
    spread: float | str = "auto"
    objective: str = "huber_log"
    delta: float = 1e-3

    @property
    def options(self) -> Options:
        """What is minimised."""
        return Options(self.objective, self.delta)


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
    loss_options, error_options : Options
        What is minimised by the fits of the two kinds of laws.
    weights : dict
        By kind ``equal``, or ``evaluation``: by the variance of measurement and scatter together.
    pool : Pool, optional
        A fit of the loss law to all data sets together.
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
    loss_options: Options = field(default_factory=Options)
    error_options: Options = field(default_factory=Options)
    weights: dict[str, str] = field(default_factory=lambda: dict.fromkeys(KINDS, "equal"))
    pool: Pool | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; `restore_settings` reads them."""
        return self.__dict__ | {
            "losses": list(self.losses),
            "loss_options": self.loss_options.to_json(),
            "error_options": self.error_options.to_json(),
            "pool": asdict(self.pool) if self.pool else None,
        }


def restore_settings(values: dict[str, Any]) -> Settings:
    """Rebuild the settings a study was fitted with, as the metadata of its tables hold them."""
    read = _DEFAULTS | values | {"losses": tuple(values["losses"])}
    for key in ("loss_options", "error_options"):
        read[key] = Options.from_json(read[key])
    read["pool"] = Pool(**read["pool"]) if read["pool"] else None
    return Settings(**read)


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
    "loss_options": (dict,),
    "error_options": (dict,),
    "weights": (dict,),
    "pool": (dict, type(None)),
}
_DEFAULTS: dict[str, Any] = {
    "averages": {},
    "loss_options": {},
    "error_options": {},
    "weights": dict.fromkeys(KINDS, "equal"),
    "pool": None,
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
        values = _DEFAULTS | values
    if not isinstance(values, dict) or set(values) != set(_TYPES):
        found = ", ".join(sorted(values)) if isinstance(values, dict) else type(values).__name__
        raise ScalebedError(f"--params has keys {found}, expected {', '.join(sorted(_TYPES))}")
    for key, types in _TYPES.items():
        if type(values[key]) not in types:
            wanted = types[0].__name__
            raise ScalebedError(f"--params {key} is {values[key]!r}, expected {wanted}")
    return _checked(values)


def _checked(values: dict[str, Any]) -> Settings:
    laws = {
        "loss": get_law(values["loss_law"], "loss"),
        "error": get_law(values["error_law"], ("error", "direct")),
    }
    for kind, law in laws.items():
        values[f"{kind}_options"] = Options.from_json(values[f"{kind}_options"])
        values[f"{kind}_options"].check(law)
        if values["weights"].get(kind) not in WEIGHTS:
            raise ScalebedError(
                f"--params weights of {kind} is {values['weights'].get(kind)!r}, "
                f"expected {' or '.join(WEIGHTS)}"
            )
    for name in values["losses"] or ():
        if not isinstance(name, str):
            raise ScalebedError(f"--params losses holds {name!r}, expected names")
    if not 100 <= values["draws"] <= 1_000_000:
        raise ScalebedError(f"--params draws is {values['draws']}, expected 100 .. 1000000")
    if not 0 < values["level"] < 1:
        raise ScalebedError(f"--params level is {values['level']}, expected between 0 and 1")
    every = values["losses"] is None
    others = [name for name in dict.fromkeys(values["losses"] or ()) if name != values["loss"]]
    pool = Pool(**values["pool"]) if values["pool"] else None
    given = values | {"losses": (values["loss"], *sorted(others)), "pool": pool}
    return Settings(**given, every_loss=every)
