"""What the study was for: predictions of the targets beside what was measured."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from scalebed.tables.reader import StudyDatabase

_TARGETS = """
WITH average AS (SELECT cell, avg(error) AS value FROM tasks WHERE in_average GROUP BY cell),
measured AS (
    SELECT cell, 'loss' AS kind, loss AS value FROM losses WHERE validation = $yardstick
    UNION ALL SELECT cell, 'error', value FROM average
),
kinds AS (
    SELECT 'loss' AS kind
    UNION SELECT 'error' WHERE EXISTS (FROM tasks WHERE in_average)
),
fitted AS (
    SELECT *, flops * trunk_steps / steps AS taken
    FROM cells WHERE (fit_loss OR fit_error) AND status = 'done'
),
-- Of a trunk the longest part that is taken over was trained, and nothing twice.
once AS (
    SELECT dataset, sum(saved) AS saved
    FROM (SELECT dataset, sum(taken) - max(taken) AS saved FROM fitted
          WHERE trunk IS NOT NULL GROUP BY dataset, trunk)
    GROUP BY dataset
),
largest AS (
    SELECT dataset, max(params) AS params, max(token_multiplier) AS M, max(flops) AS flops,
           sum(flops) - coalesce(any_value(saved), 0) AS total
    FROM fitted LEFT JOIN once USING (dataset) GROUP BY dataset
)
SELECT c.cell, c.dataset, c.size, c.ratio, c.recipe, c.seed, c.params, c.tokens, c.flops,
       c.status, c.reason, k.kind,
       p.predicted, p.lower, p.upper, p.level, coalesce(p.measured, m.value) AS measured,
       p.predicted / m.value - 1 AS deviation, p.relative_error, p.covered, p.method,
       p.numbers, p.evidence, p.verdict,
       p.predicted_from_measured_loss, p.relative_error_from_measured_loss,
       p.share_fit, p.share_noise, p.share_loss_fit, p.share_error_fit, p.share_run,
       p.share_evaluation, f.fit IS NOT NULL AS refused, f.reason AS refusal,
       c.params / b.params AS params_ratio, c.token_multiplier / b.M AS M_ratio,
       c.flops / b.flops AS largest_ratio, c.flops / b.total AS fit_ratio
FROM cells c CROSS JOIN kinds k
LEFT JOIN measured m ON m.cell = c.cell AND m.kind = k.kind
LEFT JOIN predictions p ON p.cell = c.cell AND p.kind = k.kind
    AND p.response = CASE k.kind WHEN 'loss' THEN $yardstick ELSE 'average' END
LEFT JOIN fits f ON f.dataset = c.dataset AND f.kind = k.kind AND f.status = 'refused'
    AND f.response = CASE k.kind WHEN 'loss' THEN $yardstick ELSE 'average' END
LEFT JOIN largest b ON b.dataset = c.dataset
WHERE c.target
ORDER BY c.dataset, c.flops, c.cell, k.kind DESC
"""


class Target(NamedTuple):
    """One cell to predict: its coordinates, and its row for loss and for error (or None)."""

    cell: dict[str, Any]
    loss: dict[str, Any] | None
    error: dict[str, Any] | None


class Summary(NamedTuple):
    """How the predictions of one kind did over the targets that were measured.

    Attributes
    ----------
    compared, covered
        Targets with prediction and measurement; how many intervals hold the measurement.
    mean, worst
        Relative error, as fractions.
    level
        Nominal coverage of the intervals.
    expected
        Probability that correct, independent intervals would all hold.
    """

    kind: str
    compared: int
    covered: int
    mean: float
    worst: float
    level: float
    expected: float


def targets(study: StudyDatabase) -> list[Target]:
    """Return the targets of the study, cheapest first within each data set."""
    found: dict[str, dict[str, Any]] = {}
    for row in study.rows(_TARGETS, {"yardstick": study.yardstick}):
        found.setdefault(row["cell"], {"cell": row})[row["kind"]] = row
    return [Target(rows["cell"], rows.get("loss"), rows.get("error")) for rows in found.values()]


def summary(rows: Iterable[dict[str, Any] | None], kind: str) -> Summary | None:
    """Return how one kind of prediction did, or None if nothing can be compared."""
    compared = [row for row in rows if row and row["relative_error"] is not None]
    if not compared:
        return None
    errors = [row["relative_error"] for row in compared]
    levels = [row["level"] for row in compared if row["level"] is not None]
    level = statistics.median(levels) if levels else 0.9
    return Summary(
        kind,
        len(compared),
        sum(bool(row["covered"]) for row in compared),
        statistics.fmean(errors),
        max(errors),
        level,
        level ** len(compared),
    )


def reach(rows: Sequence[dict[str, Any] | None]) -> float:
    """Return the largest deviation, in fractions of the prediction, that a bar has to show."""
    ends = [
        abs(row[name] / row["predicted"] - 1)
        for row in rows
        if row and row["predicted"]
        for name in ("lower", "upper", "measured")
        if row[name] is not None
    ]
    return max([*ends, 1e-3])


def verdicts(found: Iterable[Target]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return what predictions say of themselves, each statement once, with its predictions."""
    said: dict[str, list[dict[str, Any]]] = {}
    for target in found:
        for row in (target.loss, target.error):
            if row and row["verdict"]:
                said.setdefault(row["verdict"], []).append(row)
    return list(said.items())


def whole(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return of the held-out cells one row a response: over all data sets, wherever they lie."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row["domain"] == "all":
            # The row of all data sets together comes last.
            found[row["kind"], row["response"]] = row
    return list(found.values())


def both_stages(found: Iterable[Target]) -> list[dict[str, Any]]:
    """Return the targets whose error can be judged with predicted and with measured loss.

    ``verdict`` says whether the chained prediction is right for the right reason: where the error
    law fed the true loss does clearly worse than fed the predicted one, mistakes of the two
    stages cancelled.
    """
    rows = []
    for target in found:
        loss, error = target.loss, target.error
        if not loss or not error or loss["relative_error"] is None:
            continue
        chained, direct = error["relative_error"], error["relative_error_from_measured_loss"]
        if chained is None or direct is None:
            continue
        rows.append(
            {
                "cell": target.cell,
                "loss": loss,
                "error": error,
                "chained": chained,
                "direct": direct,
                "verdict": _stage_verdict(chained, direct, error["measured"], error["share_noise"]),
            }
        )
    return rows


def _stage_verdict(chained: float, direct: float, measured: float, noise: float | None) -> str:
    # Differences below the scatter of a new cell say nothing about the stages.
    if abs(chained - direct) * measured <= (noise or 0.0):
        return "stages agree within noise"
    return "mistakes cancel" if direct > chained else "the loss stage adds error"


# Where the scatter was estimated from a part of the cells only, the law is not claimed to hold at
# smaller M; coverage is shown with and without these cells, and for the data sets together.
_HELD_OUT = """
WITH domain AS (
    SELECT dataset, coalesce(min(ratio) FILTER (scatter), 0) AS least FROM cells GROUP BY dataset
),
judged AS (
    SELECT p.*, c.ratio >= d.least AS inside, d.least
    FROM predictions p JOIN cells c USING (cell, dataset) JOIN domain d USING (dataset)
    WHERE p.role = 'held_out' AND p.relative_error IS NOT NULL
          AND list_contains($responses, p.response)
),
shown AS (
    SELECT *, 'all' AS domain FROM judged
    UNION ALL
    SELECT *, format('M ≥ {:g}', least) FROM judged
    WHERE inside AND EXISTS (FROM judged WHERE NOT inside)
)
SELECT coalesce(dataset, 'together') AS dataset, kind, response, domain,
       count(*) AS cells, count(*) FILTER (covered) AS covered,
       avg(relative_error) AS mean, median(relative_error) AS median, max(relative_error) AS worst,
       avg(predicted / measured - 1) AS bias, median((upper - lower) / predicted) AS width,
       median(level) AS level
FROM shown
GROUP BY GROUPING SETS ((kind, response, domain, dataset), (kind, response, domain))
HAVING grouping(dataset) = 0 OR count(DISTINCT shown.dataset) > 1
ORDER BY kind DESC, response, domain, grouping(dataset), dataset
"""


def held_out(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return accuracy and coverage over cells that were neither fitted to nor targets."""
    rows = study.rows(_HELD_OUT, {"responses": [study.yardstick, "average", *study.averages]})
    for row in rows:
        row["low"], row["high"] = wilson(row["covered"], row["cells"])
    return rows


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion (Wilson 1927, JASA 22:209)."""
    share, weight = successes / trials, z * z / trials
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * ((share * (1 - share) + weight / 4) / trials) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)


_OTHERS = """
SELECT p.*, c.size, c.ratio, p.predicted / p.measured - 1 AS deviation, r.class AS reliability
FROM predictions p JOIN cells c USING (cell, dataset)
LEFT JOIN reliability r ON p.kind = 'error' AND r.task = p.response
    AND r.dataset = (SELECT CASE WHEN bool_or(dataset = 'all') THEN 'all' ELSE min(dataset) END
                     FROM reliability)
WHERE p.role = 'target'
      AND p.response <> CASE p.kind WHEN 'loss' THEN $yardstick ELSE 'average' END
ORDER BY p.kind DESC, p.response, p.dataset, c.flops, c.cell
"""


def other_responses(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return predictions of the targets for other validation sets and for single tasks."""
    return study.rows(_OTHERS, {"yardstick": study.yardstick})
