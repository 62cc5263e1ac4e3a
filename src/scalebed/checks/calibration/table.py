"""Table ``calibration``: how the intervals did."""

from scalebed.tables.declared.columns import Table, count, flag, number, text

TABLE = Table(
    "calibration",
    "Coverage, width and score of every interval method, measured on this study; lengths are "
    "relative to the measured loss, or in error.",
    ("scheme", "response", "dataset", "method"),
    (
        text("dataset", "Training set, or 'all'"),
        text("response", "Validation set (loss), or task or 'average' (error)"),
        text("kind", "What is predicted: loss or error"),
        text(
            "scheme",
            "How it was measured: simulation (from the fitted laws with this design), other data "
            "sets (cells not fitted, scatter of the other training sets), largest left out",
        ),
        text("method", "Interval method"),
        text("status", "valid, conservative: why, or not valid: why, for this design"),
        flag("chosen", "Whether it is the study's own method"),
        count("cells", "Runs that were predicted"),
        count("covered", "Of these, inside their interval"),
        number("coverage", "covered / cells", "fraction"),
        number("coverage_error", "Standard error of the coverage", "fraction", nullable=True),
        number("width", "Median full width", nullable=True),
        number("width_mean", "Mean full width", nullable=True),
        number("winkler", "Mean Winkler score: width and a penalty for misses", nullable=True),
        number("level", "Nominal coverage", "fraction"),
    ),
)
