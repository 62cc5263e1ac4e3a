"""Tables of what a study measures about its own laws and intervals."""

from scalebed.tables.declared.columns import Table, count, flag, number, text

_KIND = text("kind", "What is predicted: loss or error")
_RESPONSE = text("response", "Validation set (loss), or task or 'average' (error)")

CALIBRATION = Table(
    "calibration",
    "Coverage, width and score of every interval method, measured on this study; lengths are "
    "relative to the measured loss, or in error.",
    ("scheme", "response", "dataset", "method"),
    (
        text("dataset", "Training set, or 'all'"),
        _RESPONSE,
        _KIND,
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

TOURNAMENT = Table(
    "tournament",
    "Laws and objectives against each other: how far each is off on cells it was not fitted to.",
    ("kind", "response", "scope", "split", "route", "law", "objective"),
    (
        _KIND,
        _RESPONSE,
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
        text("objective", "What was minimised", nullable=True),
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

RELIABILITY = Table(
    "reliability",
    "How far the error of each task can be predicted from the loss.",
    ("task", "dataset"),
    (
        text("task", "Task"),
        text("dataset", "Training set, or 'all'"),
        text("class", "predictable, at chance, non-monotone, noisy or inverse", nullable=True),
        count("runs", "Runs with the task"),
        number("chance_error", "Error of guessing", "fraction", nullable=True),
        number("tau", "Kendall's rank correlation of error and loss", nullable=True),
        number("p_trend", "Its p-value", nullable=True),
        number("q_trend", "The same, corrected for the number of tasks", nullable=True),
        number(
            "gain",
            "Guessing less the mean error of the third of runs with the least loss",
            "fraction",
            nullable=True,
        ),
        number("p_chance", "p-value of guessing alone", nullable=True),
        number("q_chance", "The same, corrected", nullable=True),
        number("p_turn", "p-value of a monotone curve", nullable=True),
        number("q_turn", "The same, corrected", nullable=True),
        number("range", "Range of the error along the fitted curve", "fraction", nullable=True),
        number("scatter", "Scatter about that curve", "fraction", nullable=True),
        number("sampling", "Sampling error of a measured error", "fraction", nullable=True),
        number("noise_share", "The larger of scatter and sampling, over range", nullable=True),
        text("error_law", "Error law that predicted this task best", nullable=True),
        text("sentence", "All this in words", nullable=True),
    ),
)

CONTRASTS = Table(
    "contrasts",
    "Data sets pair by pair at a target: which is better, and by how much compute.",
    ("a", "b", "kind", "response", "params", "tokens"),
    (
        text("a", "Training set A"),
        text("b", "Training set B"),
        _KIND,
        _RESPONSE,
        number("params", "N of the target"),
        number("tokens", "D of the target", "tokens"),
        number("flops", "C = 6 N D", "FLOPs"),
        number("predicted_a", "Prediction for A", nullable=True),
        number("predicted_b", "Prediction for B", nullable=True),
        number("difference", "Prediction for B minus that for A", nullable=True),
        number("difference_lower", "Lower end of its interval", nullable=True),
        number("difference_upper", "Upper end of its interval", nullable=True),
        number("p_better", "Probability that the law of A is lower", "fraction", nullable=True),
        number(
            "p_better_run",
            "Probability that a run on A ends lower than one on B",
            "fraction",
            nullable=True,
        ),
        number(
            "multiplier",
            "How many times the target's compute B needs, at the same M, for what A reaches",
            nullable=True,
        ),
        number("multiplier_lower", "Lower end of its interval", nullable=True),
        number("multiplier_upper", "Upper end; missing if unbounded", nullable=True),
        number("level", "Probability content of the intervals", "fraction", nullable=True),
        count("draws", "Draws the probabilities rest on", nullable=True),
        number("reach", "Target's compute over the largest run fitted", nullable=True),
        text("status", "Whether there is a comparison"),
        text("notes", "What to know about it", nullable=True),
        text("sentence", "All this in words", nullable=True),
    ),
)

TABLES = {table.name: table for table in (CALIBRATION, TOURNAMENT, RELIABILITY, CONTRASTS)}
