"""Tables that the fits of a study fill."""

from dataclasses import replace

from scalebed.tables.declared.columns import Table, count, flag, number, text

_CELL = text("cell", "Path of the cell, dataset=…/size=…/ratio=…/recipe=…/seed=…")
_DATASET = text("dataset", "Training set")
_LAW = text("law", "Name of the law")
_KIND = text("kind", "What is predicted: loss or error")
_RESPONSE = text("response", "Validation set (loss), or task or 'average' (error)")

FITS = Table(
    "fits",
    "Fitted laws, one row per training set and response, refused ones included.",
    ("fit",),
    (
        text("fit", "Name of the fit, kind/law/dataset/response"),
        _KIND,
        _LAW,
        _DATASET,
        _RESPONSE,
        count("points", "Cells the law was fitted to"),
        count("parameters", "Free parameters of the law"),
        count(
            "degrees_of_freedom",
            "points - parameters; of a posterior the independent ones, a trunk counting as one",
        ),
        number(
            "rmse", "Root mean square residual at the fit cells", "nats or fraction", nullable=True
        ),
        number(
            "sigma",
            "Lack-of-fit scatter used for intervals: relative for loss, absolute for error",
            nullable=True,
        ),
        text("sigma_source", "Where sigma comes from", nullable=True),
        text("objective", "What was minimised: sse, log_sse or huber_log", nullable=True),
        flag("converged", "Whether the optimiser met its tolerance"),
        number(
            "gradient",
            "Cosine between residuals and tangents of the law; zero at an optimum",
            nullable=True,
        ),
        number(
            "condition",
            "Condition number of the scaled Jacobian in the parameters that are not at a bound",
            nullable=True,
        ),
        number(
            "effective_parameters",
            "Trace of the hat matrix: parameters that the cells decide",
            nullable=True,
        ),
        count("minima", "Local minima found"),
        count("starts", "Starting points tried"),
        count("starts_agreeing", "Starting points that ended in the same optimum"),
        text("bounds_hit", "Parameters at a bound, comma separated; empty if none"),
        number("flops", "Compute of all fit cells, a trunk once", "FLOPs", nullable=True),
        text("status", "fitted or refused"),
        text("reason", "Why the fit was refused", nullable=True),
        text("numbers", "found, doubtful or refused, and why", nullable=True),
        text(
            "evidence",
            "Whether the law predicts every size from the smaller ones: held, missed or could not "
            "be tried; and what else the data say against it",
            nullable=True,
        ),
        text("verdict", "Both statements in one text", nullable=True),
    ),
)

FIT_PARAMETERS = Table(
    "fit_parameters",
    "Parameters of the fitted laws with intervals, derived ones (eta, a, b, M_star) included.",
    ("fit", "parameter"),
    (
        text("fit", "Name of the fit"),
        text("parameter", "Symbol of the parameter"),
        number("value", "Best value", nullable=True),
        number("lower", "Lower end of the interval", nullable=True),
        number("upper", "Upper end of the interval", nullable=True),
        text("unit", "Unit of the value", nullable=True),
    ),
)

DRAWS = Table(
    "draws",
    "Draws of the parameters; a draw number is one joint world of all laws.",
    ("dataset", "kind", "law", "response", "draw", "parameter"),
    (
        count("draw", "Number of the draw"),
        _DATASET,
        _KIND,
        _LAW,
        _RESPONSE,
        text("parameter", "Symbol of the parameter"),
        number("value", "Value in this draw"),
    ),
)

PREDICTIONS = Table(
    "predictions",
    "What the laws say about every cell, beside what was measured.",
    ("dataset", "kind", "response", "law", "cell"),
    (
        _CELL,
        _DATASET,
        _KIND,
        _RESPONSE,
        _LAW,
        text("role", "target, held_out (measured, not fitted) or fit"),
        number("predicted", "Prediction", "nats/token or fraction"),
        number("lower", "Lower end of the interval", "nats/token or fraction", nullable=True),
        number("upper", "Upper end of the interval", "nats/token or fraction", nullable=True),
        number("level", "Nominal coverage of the interval", "fraction", nullable=True),
        number("measured", "Measured value", "nats/token or fraction", nullable=True),
        number("relative_error", "|predicted - measured| / measured", "fraction", nullable=True),
        flag("covered", "Whether the interval holds the measured value", nullable=True),
        number(
            "predicted_from_measured_loss",
            "Error law fed the measured instead of the predicted loss",
            "fraction",
            nullable=True,
        ),
        number(
            "relative_error_from_measured_loss",
            "Relative error of that second prediction",
            "fraction",
            nullable=True,
        ),
        number(
            "share_loss_fit",
            "Standard deviation from the uncertainty of the loss law alone",
            "nats/token or fraction",
            nullable=True,
        ),
        number(
            "share_error_fit",
            "Standard deviation from the uncertainty of the error law alone",
            "fraction",
            nullable=True,
        ),
        number(
            "share_run",
            "Standard deviation from the scatter of a new run alone",
            "nats/token or fraction",
            nullable=True,
        ),
        number(
            "share_evaluation",
            "Standard deviation from the measurement of a new run alone",
            "nats/token or fraction",
            nullable=True,
        ),
        number(
            "share_fit",
            "Standard deviation of the prediction from the uncertainty of the fit",
            "nats/token or fraction",
            nullable=True,
        ),
        number(
            "share_noise",
            "Standard deviation of the prediction from the scatter of a new cell",
            "nats/token or fraction",
            nullable=True,
        ),
        number(
            "fit_flops",
            "Compute of the cells the prediction rests on, a trunk once",
            "FLOPs",
            nullable=True,
        ),
        number("target_flops", "Compute of the predicted cell", "FLOPs", nullable=True),
        number("flops_ratio", "target_flops / fit_flops", nullable=True),
        text("method", "What the interval contains", nullable=True),
        text("numbers", "Whether the fits are found, doubtful or refused, and why", nullable=True),
        text(
            "evidence",
            "What the data say of the law, and how far beyond them the cell lies",
            nullable=True,
        ),
        text("verdict", "Both statements in one text", nullable=True),
    ),
)

INFLUENCE = Table(
    "influence",
    "How much each cell decides a fit that it is part of.",
    ("fit", "cell"),
    (
        text("fit", "Name of the fit"),
        _CELL,
        number("leverage", "1 if the law goes through the cell whatever its value is"),
        number(
            "cooks_distance",
            "Move of all fitted values without the cell, in units of their uncertainty; above 1 "
            "the cell decides the fit",
            nullable=True,
        ),
        number("studentized", "Residual over its standard error", nullable=True),
    ),
)

POOLING = Table(
    "pooling",
    "The fit of the loss law to all data sets together: how much was pooled, and what "
    "cross-validation says of each amount; empty if the study asks for no such fit.",
    ("response", "law", "spread"),
    (
        text("response", "Validation set"),
        _LAW,
        text("pooled", "Parameters that are pooled, comma separated"),
        text("objective", "What was minimised"),
        number(
            "spread",
            "Relative spread of those parameters between data sets: 0 shared, missing separate",
            nullable=True,
        ),
        flag("chosen", "Whether the fit was made with this spread"),
        number("error", "Mean absolute relative error of cells left out", nullable=True),
        number("standard_error", "Standard error of `error`", nullable=True),
        count("cells", "Cells left out in turn", nullable=True),
        text("reason", "Why the fit was refused", nullable=True),
        text("verdict", "How far the fit can be trusted", nullable=True),
    ),
)

POOLED_PARAMETERS = Table(
    "pooled_parameters",
    "Parameters of every data set from the fit to all of them together.",
    ("dataset", "parameter"),
    (
        _DATASET,
        text("parameter", "Symbol of the parameter"),
        number("value", "Best value", nullable=True),
        number("lower", "Lower end of the interval", nullable=True),
        number("upper", "Upper end of the interval", nullable=True),
        text("unit", "Unit of the value", nullable=True),
        flag("pooled", "Whether the parameter is one of those pooled"),
    ),
)

POOLED_PREDICTIONS = Table(
    "pooled_predictions",
    "What the fit to all data sets together says about every cell.",
    ("dataset", "response", "law", "cell"),
    (
        _CELL,
        _DATASET,
        text("response", "Validation set"),
        _LAW,
        text("role", "target, held_out (measured, not fitted) or fit"),
        number("predicted", "Prediction", "nats/token"),
        number("lower", "Lower end of the interval", "nats/token", nullable=True),
        number("upper", "Upper end of the interval", "nats/token", nullable=True),
        number("level", "Nominal coverage of the interval", "fraction", nullable=True),
        number("measured", "Measured value", "nats/token", nullable=True),
        number("relative_error", "|predicted - measured| / measured", "fraction", nullable=True),
        flag("covered", "Whether the interval holds the measured value", nullable=True),
        text("verdict", "How far the fit can be trusted", nullable=True),
    ),
)

BESIDE = tuple(
    replace(
        table,
        name=f"beside_{table.name}",
        comment=f"As table {table.name}, for the fit `beside`; empty if the study asks for none.",
    )
    for table in (FITS, FIT_PARAMETERS, PREDICTIONS)
)

TABLES = {
    table.name: table
    for table in (
        *(FITS, FIT_PARAMETERS, DRAWS, PREDICTIONS, INFLUENCE),
        *(POOLING, POOLED_PARAMETERS, POOLED_PREDICTIONS),
        *BESIDE,
    )
}
