"""The table of sealed predictions and what came of them."""

from scalebed.tables.declared.columns import Table, flag, number, text

JUDGED = Table(
    "judged",
    "Predictions of the targets that were sealed before any of them trained, beside what was "
    "measured after; empty if the study asks for none.",
    ("dataset", "kind", "response", "cell"),
    (
        text("cell", "Path of the target, dataset=…/size=…/ratio=…/recipe=…/seed=…"),
        text("dataset", "Training set"),
        text("kind", "What is predicted: loss or error"),
        text("response", "Validation set (loss), or task or 'average' (error)"),
        text("law", "Name of the law"),
        number("predicted", "Sealed prediction", "nats/token or fraction"),
        number("lower", "Lower end of the interval", "nats/token or fraction", nullable=True),
        number("upper", "Upper end of the interval", "nats/token or fraction", nullable=True),
        number("level", "Nominal coverage of the interval", "fraction"),
        number(
            "measured",
            "Measured value; missing while the target has none",
            "nats/token or fraction",
            nullable=True,
        ),
        number("relative_error", "|predicted - measured| / measured", "fraction", nullable=True),
        flag("inside", "Whether the interval holds the measured value", nullable=True),
        number("flops", "Compute of the target, 6ND", "FLOPs"),
        number(
            "times_largest",
            "flops over those of the dearest fit cell of the data set",
            nullable=True,
        ),
        number(
            "times_fit",
            "flops over those of all fit cells of the data set, a trunk that several of them share "
            "counted once",
            nullable=True,
        ),
        text("numbers", "Whether the fits are found, doubtful or refused, and why", nullable=True),
        text(
            "evidence",
            "What the data say of the law, and how far beyond them the cell lies",
            nullable=True,
        ),
    ),
)
