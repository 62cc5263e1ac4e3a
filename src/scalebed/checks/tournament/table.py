"""Table ``tournament``: laws and objectives against each other."""

from scalebed.tables.declared.columns import Table, count, flag, number, text

BEST, EVEN, WORSE, REFUSED = "best", "not established worse", "worse", "refused"
"""Standings of a law among the others."""

TABLE = Table(
    "tournament",
    "Laws and objectives against each other: how far each is off on cells it was not fitted to.",
    ("kind", "response", "scope", "split", "route", "law", "objective"),
    (
        text("kind", "What is predicted: loss or error"),
        text("response", "Validation set (loss), or task or 'average' (error)"),
        text("scope", "response, or tasks: each task of the average by itself"),
        text("family", "What is extrapolated: N, C, M, or the study's own design"),
        text("split", "Name of the split"),
        text("label", "Which cells are fitted and which predicted"),
        text(
            "route",
            "loss; or how errors are predicted: two-step, direct or baseline",
            nullable=True,
        ),
        text("law", "Name of the law"),
        text("objective", "What was minimised, or posterior: nothing was", nullable=True),
        count("parameters", "Free parameters", nullable=True),
        flag("own", "Whether it is the study's own law"),
        count("cells", "Runs that were predicted"),
        count("clusters", "Distinct (N, M) among them"),
        number("error", "Mean absolute error, in `unit`", nullable=True),
        text("unit", "% of the measured loss, or points of error"),
        number("in_sample", "Root mean square residual at the fitted cells", nullable=True),
        count("fits", "Fits that were made"),
        count("refused", "Fits that were refused"),
        text("reason", "Why", nullable=True),
        count("unconverged", "Fits that did not converge"),
        number("difference", "Error minus that of the study's own law", nullable=True),
        number("lower", "Lower end of the interval of `difference`", nullable=True),
        number("upper", "Upper end of the interval of `difference`", nullable=True),
        flag("established", "Whether that interval, widened for few clusters, excludes 0"),
        number("behind", "Error minus that of the best", nullable=True),
        number("behind_lower", "Lower end of the interval of `behind`", nullable=True),
        number("behind_upper", "Upper end of the interval of `behind`", nullable=True),
        text("standing", "best, not established worse, worse or refused"),
        number("level", "Probability content of the intervals", "fraction"),
    ),
)
