"""What the laws of a plain table are fitted with: its defaults, and what was asked for."""

from __future__ import annotations

from scalebed.core.errors import ScalebedError
from scalebed.core.values import Drawing, Interval
from scalebed.fit.options import Options
from scalebed.laws import get_law
from scalebed.predict.large import HUGE
from scalebed.predict.posterior import softly_tied
from scalebed.predict.settings import Settings
from scalebed.tables.runs_table import RunTable


def table_settings(
    table: RunTable,
    *,
    loss_law: str | None = None,
    error_law: str = "decay",
    interval: Interval | None = None,
    options: Options | None = None,
    level: float | None = None,
    draws: int | None = None,
    seed: int = 0,
) -> Settings:
    """Return the settings of a table; None stands for the default.

    The loss law is the softly tied one with its posterior, unless another law, another objective,
    given parameters or the length of the table ask for a fit.

    Raises
    ------
    ScalebedError
        If a law is unknown, or level, draws or options are impossible.
    """
    options = options or Options()
    level = Drawing.level if level is None else level
    draws = Drawing.draws if draws is None else draws
    get_law(error_law, ("error", "direct"))
    if not 100 <= draws <= 1_000_000:
        raise ScalebedError(f"--draws is {draws}, expected 100 .. 1000000")
    if not 0 < level < 1:
        raise ScalebedError(f"--level is {level}, expected between 0 and 1")
    fitted = loss_law not in (None, "chinchilla") or not softly_tied(options)
    fitted |= int(table.finished.sum()) > HUGE
    interval = interval or ("bootstrap" if fitted else "posterior")
    loss_law = loss_law or {"bootstrap": "tied", "posterior": "chinchilla"}[interval]
    options.check(get_law(loss_law, "loss"))
    return Settings(
        loss_law=loss_law,
        error_law=error_law,
        loss="loss",
        losses=("loss",),
        per_task=False,
        draws=draws,
        level=level,
        seed=seed,
        loss_options=options,
        interval=interval,
    )
