"""The report of a hyper-parameter search: what was tried, its frontier, and the ladder."""

from typing import Any

from scalebed.core.shown import in_line
from scalebed.report import facts
from scalebed.report.numbers import count, fixed, scientific
from scalebed.report.text import align
from scalebed.tables.reader import StudyDatabase

_TOTAL = """
SELECT count(*) AS runs, count(DISTINCT (width, layers, heads)) AS shapes, sum(flops) AS flops,
       count(*) FILTER (loss IS NULL) AS without_loss, count(*) FILTER (frontier) AS frontier,
       count(*) FILTER (kept) AS kept, count(*) FILTER (chosen) AS chosen, max(ratio) AS ratio,
       min(params) AS least, max(params) AS most
FROM search
"""
_BEST = """
SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY width, layers, heads
                                 ORDER BY loss NULLS LAST, configuration) AS place
    FROM search)
WHERE place = 1 ORDER BY params, loss NULLS LAST, configuration
"""
_HEADINGS = ("rung", "N", "FLOPs", "batch", "warm-up", "lr", "loss", "by the law", "")
_LEFT = (0, 8)


def page_context(study: StudyDatabase) -> dict[str, Any]:
    """Return what the template of a search shows, but for title and figures."""
    known = study.facts()
    (total,) = study.rows(_TOTAL)
    return {
        "study": known.get("study", ""),
        "yardstick": study.yardstick,
        "total": total,
        "rungs": rungs(study),
        "fits": study.rows("SELECT * FROM search_fits ORDER BY fit = 'kept' DESC, fit, quantity"),
        "frontier": study.rows("SELECT * FROM search WHERE frontier ORDER BY flops"),
        "best": study.rows(_BEST),
        "missing": study.rows("SELECT * FROM search WHERE loss IS NULL ORDER BY configuration"),
        "seconds": study.rows("SELECT sum(seconds) AS seconds FROM cells")[0]["seconds"],
        "corpora": facts.corpora(known),
        "provenance": facts.provenance(known),
    }


def rungs(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return the rungs of the ladder by N."""
    return study.rows("SELECT * FROM search_rungs ORDER BY params, size")


def search_text(study: StudyDatabase) -> str:
    """Return the ladder as an aligned table for a terminal, with the counts of the search."""
    (total,) = study.rows(_TOTAL)
    rows = [
        (
            row["size"],
            count(row["params"]),
            scientific(row["flops"]),
            str(row["batch_sequences"]),
            str(row["warmup"]),
            f"{row['lr']:.3g}",
            fixed(row["loss"], 4),
            _interval(row),
            "searched" if row["searched"] else "NOT SEARCHED",
        )
        for row in rungs(study)
    ]
    counts = (
        f"{total['runs']} runs ({total['without_loss']} without a loss), {total['frontier']} on "
        f"the frontier, {total['kept']} kept"
    )
    return "\n".join(map(in_line, [*align([_HEADINGS, *rows], _LEFT), "", counts, ""]))


def _interval(row: dict[str, Any]) -> str:
    if row["predicted"] is None:
        return "–"
    if row["lower"] is None:
        return fixed(row["predicted"], 4)
    return f"{fixed(row['predicted'], 4)} ({fixed(row['lower'], 4)} to {fixed(row['upper'], 4)})"
