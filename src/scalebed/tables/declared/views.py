"""Views for the questions people ask of a study."""

from scalebed.tables.declared.cells import CELLS
from scalebed.tables.declared.columns import View, count, flag, number, text
from scalebed.tables.declared.fits import PREDICTIONS

_COLUMN = {column.name: column for column in (*CELLS.columns, *PREDICTIONS.columns)}

PREDICTIONS_VS_MEASURED = View(
    "predictions_vs_measured",
    "Predictions beside measurements with the coordinates of the cell; start here.",
    """
    SELECT dataset, size, ratio, recipe, seed, kind, response, law, role,
           params, tokens, token_multiplier, flops,
           predicted, lower, upper, level, measured, predicted - measured AS difference,
           relative_error, covered,
           predicted_from_measured_loss, relative_error_from_measured_loss,
           flops_ratio, method, cell
    FROM predictions JOIN cells USING (cell, dataset)
    ORDER BY role = 'target' DESC, dataset, kind DESC, response, params, tokens, cell
    """,
    (
        *(
            _COLUMN[name]
            for name in (
                *("dataset", "size", "ratio", "recipe", "seed", "kind", "response", "law"),
                *("role", "params", "tokens", "token_multiplier", "flops"),
                *("predicted", "lower", "upper", "level", "measured"),
            )
        ),
        number("difference", "predicted - measured", "nats/token or fraction", nullable=True),
        *(
            _COLUMN[name]
            for name in (
                *("relative_error", "covered", "predicted_from_measured_loss"),
                *("relative_error_from_measured_loss", "flops_ratio", "method", "cell"),
            )
        ),
    ),
)

CELL_STATUS = View(
    "cell_status",
    "What became of each cell: status, part in the study, and how much was recorded.",
    """
    SELECT cell, dataset, size, ratio, recipe, seed, status, reason,
           CASE WHEN target THEN 'target' WHEN fit_loss THEN 'fit'
                WHEN fit_error THEN 'fit (error only)' ELSE 'held_out' END AS role,
           (SELECT count(*) FROM losses WHERE losses.cell = cells.cell) AS losses,
           (SELECT count(*) FROM tasks WHERE tasks.cell = cells.cell) AS tasks,
           steps, (SELECT max(step) FROM curves WHERE curves.cell = cells.cell) AS last_step,
           epochs, epochs > 1 AS repeats_tokens, seconds
    FROM cells ORDER BY dataset, params, ratio, recipe, seed
    """,
    (
        *(
            _COLUMN[name]
            for name in ("cell", "dataset", "size", "ratio", "recipe", "seed", "status", "reason")
        ),
        text("role", "target, fit, fit (error only) or held_out"),
        count("losses", "Validation losses recorded"),
        count("tasks", "Tasks recorded"),
        _COLUMN["steps"],
        count("last_step", "Last step on the training curve", nullable=True),
        _COLUMN["epochs"],
        flag("repeats_tokens", "Whether the cell saw tokens more than once"),
        _COLUMN["seconds"],
    ),
)

FRONTIER = View(
    "frontier",
    "Cells that beat every cheaper cell: running minimum of loss over compute, per training and "
    "validation set.",
    """
    SELECT dataset, validation, flops, loss, params, tokens, token_multiplier, cell
    FROM (
        SELECT *, min(loss) OVER (
            PARTITION BY dataset, validation ORDER BY flops, loss, cell
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS best_before
        FROM (SELECT l.cell, l.validation, l.loss, c.dataset, c.flops, c.params, c.tokens,
                     c.token_multiplier
              FROM losses l JOIN cells c USING (cell))
    )
    WHERE best_before IS NULL OR loss < best_before
    ORDER BY dataset, validation, flops
    """,
    (
        _COLUMN["dataset"],
        text("validation", "Validation set"),
        _COLUMN["flops"],
        number("loss", "Token-mean cross-entropy", "nats/token"),
        _COLUMN["params"],
        _COLUMN["tokens"],
        _COLUMN["token_multiplier"],
        _COLUMN["cell"],
    ),
)

VIEWS = (PREDICTIONS_VS_MEASURED, CELL_STATUS, FRONTIER)
