"""Table ``decisions``: best runs by compute, and what other sizes cost."""

from scalebed.tables.declared.columns import Table, number, text

TABLE = Table(
    "decisions",
    "The best run at computes from that of the largest fitted run on, and the regret of sizes.",
    ("dataset", "flops", "choice", "params"),
    (
        text("dataset", "Training set"),
        number("flops", "Training compute that is asked about", "FLOPs"),
        number("times_largest", "The same over the largest fitted run's", "1"),
        text("choice", "optimum, served, memory, data, or size: one size of the regret valley"),
        text("assumption", "What the choice assumes, in words", nullable=True),
        number("params", "N", "params"),
        number("params_lower", "Lower limit of the best N", "params", nullable=True),
        number("params_upper", "Upper limit of the best N", "params", nullable=True),
        number("tokens", "D", "tokens"),
        number("tokens_lower", "Lower limit of the best D", "tokens", nullable=True),
        number("tokens_upper", "Upper limit of the best D", "tokens", nullable=True),
        number("training_flops", "6 N D", "FLOPs"),
        number("predicted", "Loss of that run", "nats", nullable=True),
        number("lower", "Lower limit of its loss", "nats", nullable=True),
        number("upper", "Upper limit of its loss", "nats", nullable=True),
        number("regret", "Share of the compute that it wastes, median draw", nullable=True),
        number("regret_most", "The same, not exceeded in nine of ten draws", nullable=True),
        number("share_small", "Share of draws in which it wastes under 1 %", nullable=True),
        number("level", "Content of the intervals"),
        text("evidence", "What the data say of the law there", nullable=True),
    ),
)
