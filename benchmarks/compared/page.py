"""The page: for each table what its authors say, and what came out here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.compared.entry import Entry

Record = Mapping[str, Any]
_HEADER = """# Public tables: what their authors fitted, and what comes out here

Each table is fitted as its authors did: their law, their objective, their rows. Then the runs that
are held out are predicted from the others, once as `scalebed fit` does without an option and once
with the authors' law. Intervals are of 90 %, errors in per cent of what was measured; ✓ is a number
that is the same to every printed digit. Made by `make zoo`, {draws} draws, scalebed {version}.
"""


def page(found: Mapping[str, tuple[Entry, Record]], draws: int, version: str) -> str:
    """Return the page as Markdown."""
    parts = [_HEADER.format(draws=draws, version=version)]
    for name, (entry, record) in found.items():
        parts.append("\n".join(_table_of(name, entry, record)))
    return "\n".join(parts)


def _table_of(name: str, entry: Entry, record: Record) -> Iterator[str]:
    source = entry.source
    yield f"## {entry.title}"
    yield ""
    yield f"{entry.paper}. Table `{name}`, from {source.repository} at {source.commit[:12]}"
    yield f"(licence: {source.licence})."
    if entry.note:
        yield f"*{entry.note}*"
    yield ""
    if "missing" in record:
        yield f"Left out: {record['missing']}."
        yield ""
        return
    yield from _fit(entry, record["fit"], record["points"])
    yield from _forward(record) if "forward" in record else _scores(record)


def _fit(entry: Entry, fit: Record, points: int) -> Iterator[str]:
    authors = entry.authors
    what = "curves" if "numbers" not in fit else "rows"
    yield f"**As they fitted it:** law `{authors.law}`, `{authors.objective}`, {points} {what}."
    yield ""
    rows = [("", "printed", "at the printed parameters", "here", "interval here", "")]
    at = fit.get("objective_at_printed")
    printed = fit.get("objective_printed")
    mark = "✓" if fit.get("objective_agrees") else ""
    rows.append(
        ("objective", printed or "–", _number(at, 8), _number(fit["objective"], 8), "", mark)
    )
    for name, row in fit["parameters"].items():
        if row.get("fixed"):
            rows.append((name, f"{_number(row['value'])} (fixed)", "", "", "", ""))
            continue
        said = row.get("printed") or "–"
        if row.get("printed_interval"):
            said += " ({:g} to {:g})".format(*row["printed_interval"])
        mark = "✓" if row.get("agrees") else ""
        rows.append((name, said, "", _number(row["value"]), _interval(row), mark))
    yield from _aligned(rows)
    yield ""
    if at is not None:
        less = 1 - fit["objective"] / at
        yield f"Our optimum is {100 * less:.2g} % below their parameters in their own objective."
    if "numbers" in fit:
        yield f"Verdict of this fit: numbers {fit['numbers']}; evidence {_evidence(fit)}."
    yield ""


def _forward(record: Record) -> Iterator[str]:
    yield (
        f"**Foretold:** {record['held_out']} runs, up to {record['times_largest']:.3g} times the "
        "compute of the largest run that was shown."
    )
    yield ""
    head = ("way", "inside", "by the evidence of each", "mean error", "median width")
    rows: list[tuple[str, ...]] = [(*head, "numbers", "evidence of the law")]
    for name, way in record["forward"].items():
        label = f"{name} (`{way['law']}`)" if name == "default" else f"`{way['law']}`, as theirs"
        inside = f"{way['inside']} of {way['of']}"
        error, width = _percent(way["mean_error"]), _percent(way["median_width"])
        said = ", ".join(f"{word} {n} of {of}" for word, (n, of) in way["by_evidence"].items())
        rows.append((label, inside, said, error, width, way["numbers"], _evidence(way)))
    yield from _aligned(rows)
    yield ""


def _scores(record: Record) -> Iterator[str]:
    yield f"**Foretold:** {record['held_out']} curves under other schedules, means over them."
    yield ""
    means = record["scores"]
    rows = [("score", "printed", "at the printed parameters", "", "here")]
    for name, ours in means["ours"].items():
        theirs = means.get("at_printed", {}).get(name)
        said = means.get("printed", {}).get(name, {"printed": "–", "agrees": None})
        mark = "✓" if said["agrees"] else ""
        rows.append((name, said["printed"], _number(theirs), mark, _number(ours)))
    yield from _aligned(rows)
    yield ""
    yield "The default law is of N and D, which these curves of one model do not vary."
    yield ""


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(rows[0])} |"
    yield "|" + "---|" * len(rows[0])
    for row in rows[1:]:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


def _number(value: float | None, digits: int = 5) -> str:
    return "–" if value is None else f"{value:.{digits}g}"


def _evidence(row: Record) -> str:
    """Return the evidence without its list of outlying rows, which the numbers have in full."""
    return re.split(r"; (?:outlying|\d+ outlying)", row["evidence"] or "none")[0]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} %"


def _interval(row: Record) -> str:
    if row.get("lower") is None:
        return "–"
    return f"{_number(row['lower'])} to {_number(row['upper'])}"
