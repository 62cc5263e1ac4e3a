"""Table ``reliability``: the class of every task."""

from scalebed.tables.declared.columns import Table, count, number, text

TABLE = Table(
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
