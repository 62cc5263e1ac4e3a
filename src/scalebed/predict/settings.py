"""Science settings of the stage, as the ``--params`` of ``scalebed fit-laws`` carries them."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Annotated, Any, Final, get_args

from scalebed.core.declared import Limits, check_limits, read_dataclass
from scalebed.core.errors import ScalebedError
from scalebed.core.values import Besides, Count, Draws, Interval, Level, Pooling, Weights
from scalebed.fit.options import Options
from scalebed.laws import get_law

KINDS: Final = ("loss", "error")
WEIGHTS: Final = get_args(Weights)


@dataclass(frozen=True, kw_only=True)
class Pool(Pooling):
    """One more fit of the loss law; see `scalebed.fit.pooling.fit` for its spread."""

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
    interval : str
        How the loss law is drawn: ``bootstrap``, or ``posterior`` (`scalebed.predict.posterior`).
    beside : Besides, optional
        One more fit of the same cells.
    """

    loss_law: str
    error_law: str
    loss: str
    losses: tuple[str, ...]
    per_task: bool
    draws: Annotated[Draws, Limits(le=1_000_000)]
    level: Level
    seed: Count
    averages: dict[str, list[str] | None] = field(default_factory=dict)
    every_loss: bool = False
    loss_options: Options = field(default_factory=Options)
    error_options: Options = field(default_factory=Options)
    weights: dict[str, str] = field(default_factory=lambda: dict.fromkeys(KINDS, "equal"))
    pool: Pool | None = None
    interval: Interval = "bootstrap"
    beside: Besides | None = None

    @property
    def refitted(self) -> Settings:
        """Settings whose law is fitted and refitted, where methods need one: a posterior has none.

        The fit beside if there is one, else the tied law.
        """
        if self.interval == "bootstrap":
            return self
        return replace(self, beside=self.beside or Besides()).besides or self

    @property
    def besides(self) -> Settings | None:
        """Settings of the fit beside, if there is one."""
        if self.beside is None:
            return None
        options = Options(self.beside.objective, self.beside.delta)
        law = self.beside.loss_law
        return replace(self, loss_law=law, loss_options=options, interval="bootstrap", beside=None)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `restore_settings` reads them."""
        return self.__dict__ | {
            "losses": list(self.losses),
            "loss_options": self.loss_options.to_json(),
            "error_options": self.error_options.to_json(),
            "pool": asdict(self.pool) if self.pool else None,
            "beside": asdict(self.beside) if self.beside else None,
        }


def restore_settings(values: dict[str, Any]) -> Settings:
    """Rebuild the settings a study was fitted with, as the metadata of its tables hold them."""
    return read_dataclass(Settings, values, "settings of the tables: ")


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
    # Said by null for `losses`.
    known = {field.name: field for field in fields(Settings) if field.name != "every_loss"}
    needed = {
        name for name, field in known.items() if field.default is field.default_factory is MISSING
    }
    if not isinstance(values, dict) or not needed <= set(values) <= set(known):
        found = ", ".join(sorted(values)) if isinstance(values, dict) else type(values).__name__
        raise ScalebedError(f"--params has keys {found}, expected {', '.join(sorted(known))}")
    every = values["losses"] is None
    given = values | {"losses": [] if every else values["losses"], "every_loss": every}
    settings = read_dataclass(Settings, given, "--params ")
    _check(settings)
    others = {*settings.losses} - {settings.loss}
    return replace(settings, losses=(settings.loss, *sorted(others)))


def _check(settings: Settings) -> None:
    check_limits(settings, "--params ", ScalebedError)
    kinds: dict[str, tuple[str, ...]] = {"loss": ("loss",), "error": ("error", "direct")}
    if settings.beside:
        get_law(settings.beside.loss_law, "loss")
    for kind, wanted in kinds.items():
        law = get_law(getattr(settings, f"{kind}_law"), wanted)
        getattr(settings, f"{kind}_options").check(law)
        if (found := settings.weights.get(kind)) not in WEIGHTS:
            raise ScalebedError(
                f"--params weights of {kind} is {found!r}, expected {' or '.join(WEIGHTS)}"
            )
