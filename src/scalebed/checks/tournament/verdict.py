"""Which law to believe for an extrapolation, in plain sentences made from the rows."""

from __future__ import annotations

from collections.abc import Sequence

from scalebed.checks.tournament.rows import Row
from scalebed.checks.tournament.table import BEST, EVEN, REFUSED
from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import AVERAGE

_MOST_NAMED = 4


def asked(study: StudyFit) -> str:
    """Family of splits that resembles the way from the study's fit cells to its targets.

    By N if a target is larger than every run fitted to, else by M if it has more tokens per
    parameter, else by C.
    """
    for runs in study.runs:
        fitted = runs.fit_loss
        if not (fitted.any() and runs.target.any()):
            continue
        ratio = runs.tokens / runs.params
        if runs.params[runs.target].max() > runs.params[fitted].max():
            return "N"
        if ratio[runs.target].max() > ratio[fitted].max():
            return "M"
    return "C"


def verdicts(rows: Sequence[Row], family: str | None = None) -> list[str]:
    """One sentence for the loss and each average: the law to believe, and how far that is known.

    Parameters
    ----------
    rows : sequence of dict
        From `scalebed.checks.tournament.play.run_tournament`.
    family : str, optional
        Family of splits to judge by, see `asked`; all of them by default.
    """
    found = []
    for kind, response in dict.fromkeys((row["kind"], row["response"]) for row in rows):
        own = [row for row in rows if (row["kind"], row["response"]) == (kind, response)]
        own = [row for row in own if row["scope"] == "response"]
        judged = _judged(own, family)
        if judged and (kind == "loss" or response == AVERAGE or _has_tasks(rows, response)):
            found.append(_sentence(judged))
    return found


def _has_tasks(rows: Sequence[Row], response: str) -> bool:
    """Whether a response is an average: single tasks have no row over their tasks."""
    return any(row["scope"] == "tasks" and row["response"] == response for row in rows)


def _judged(rows: list[Row], family: str | None) -> list[Row]:
    """Rows of the mean over the family, of its one split, or of whatever there is."""
    for wanted in (family, "all", None):
        of = [row for row in rows if wanted is None or row["family"] == wanted]
        means = [row for row in of if row["split"].startswith("mean")]
        if means or of:
            last = (means or of)[-1]["split"]
            return [row for row in of if row["split"] == last]
    return []


def _sentence(rows: list[Row]) -> str:
    first = rows[0]
    what = "loss" if first["kind"] == "loss" else "error"
    head = f"{first['response']} ({what}), {first['split']}"
    best = [row for row in rows if row["standing"] == BEST]
    if not best:
        return f"{head}: no law could be fitted everywhere, so none can be recommended."
    leader = best[0]
    text = f"{head}: believe {_name(leader)}, mean error {_amount(leader, 'error')}"
    even = sorted((row for row in rows if row["standing"] == EVEN), key=lambda row: row["error"])
    mine = next((row for row in rows if row["own"]), None)
    if mine is leader:
        text += ", which is the study's own"
    elif mine is not None and mine["standing"] != REFUSED:
        known = "not established" if mine["standing"] == EVEN else "established"
        text += (
            f"; the study's own, {_name(mine)}, has {_amount(mine, 'error')}, and that it is worse "
            f"is {known} (by {mine['behind']:.2f}, {mine['level']:.0%} interval "
            f"{mine['behind_lower']:.2f} .. {mine['behind_upper']:.2f})"
        )
    others = [row for row in even if row is not mine]
    if others:
        names = ", ".join(_name(row) for row in others[:_MOST_NAMED])
        more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        text += f"; not established to be worse either: {names}{more}"
    elif mine is leader or mine is None:
        text += "; every other one is established to be worse"
    return f"{text}. {first['cells']} predictions of {first['clusters']} designs."


def _name(row: Row) -> str:
    return f"{row['law']} ({row['objective']})" if row["kind"] == "loss" else str(row["law"])


def _amount(row: Row, column: str) -> str:
    unit = "%" if row["unit"] == "%" else "points"
    return f"{row[column]:.2f} {unit}"
