"""Laws L = E + lambda C^-eta of an imported search, and what they say of the larger models."""

from collections.abc import Iterator
from typing import Any

from scalebed.search.power import LAW, Bootstrap, fit_power
from scalebed.tables.declared.columns import Table, count, number, text
from scalebed.tables.reader import StudyDatabase

TABLE = Table(
    "search_laws",
    "Power laws of the search: parameters, and the loss of larger models.",
    ("points_of", "place"),
    (
        text("points_of", "kept (the filtered frontier) or chosen"),
        count("place", "Place among the quantities of this law"),
        count("points", "Configurations fitted"),
        text("refused", "Why there is no law", nullable=True),
        text("quantity", "Parameter, or loss of a larger model", nullable=True),
        number("value", "Its value", nullable=True),
        number("lower", "Lower end of its interval", nullable=True),
        number("upper", "Upper end of its interval", nullable=True),
    ),
)
_TARGETS = """
SELECT DISTINCT size, flops FROM cells
WHERE params > (SELECT max(params) FROM search)
      AND round(token_multiplier) IN (SELECT DISTINCT round(tokens / params) FROM search)
ORDER BY flops
"""


def rows(study: StudyDatabase, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table; none without a search."""
    if not study.rows("SELECT 1 FROM search LIMIT 1"):
        return
    targets = {f"loss of {row['size']}": row["flops"] for row in study.rows(_TARGETS)}
    for flag in ("kept", "chosen"):
        frame = study.frame(f"SELECT flops, loss FROM search WHERE {flag} ORDER BY flops, loss")
        flops, loss = frame["flops"].to_numpy(), frame["loss"].to_numpy()
        common = dict.fromkeys(TABLE.names) | {"points_of": flag, "points": len(frame)}
        if reason := LAW.refusal((flops,), loss):
            yield common | {"place": 0, "refused": reason}
            continue
        for place, row in enumerate(fit_power(flops, loss, targets, Bootstrap())):
            yield common | {"place": place} | row
