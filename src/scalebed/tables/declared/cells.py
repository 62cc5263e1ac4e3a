"""Tables of the cells, of a search and of what is found when all is gathered.

Units: loss in nats per token, error as a fraction of items, compute in FLOPs.
"""

from scalebed.tables.declared.columns import Table, count, flag, number, text

_CELL = text("cell", "Path of the cell, dataset=…/size=…/ratio=…/recipe=…/seed=…")
_DATASET = text("dataset", "Training set")

CELLS = Table(
    "cells",
    "One row per cell of the study, trained or not; the join key of all other tables.",
    ("cell",),
    (
        _CELL,
        _DATASET,
        text("size", "Name of the model size"),
        number(
            "ratio",
            "Nominal token multiplier M; of imported cells not always whole",
            "tokens per parameter",
        ),
        text("recipe", "Name of the training recipe"),
        count("seed", "Seed of initialisation and data order"),
        text(
            "status",
            "done, diverged (loss not finite), failed (could not be trained) or planned (an "
            "imported cell without a loss yet)",
        ),
        text("reason", "Why the cell is not done", nullable=True),
        flag("fit_loss", "Whether the loss law is fitted to this cell"),
        flag("fit_error", "Whether the error law is fitted to this cell"),
        flag("target", "Whether the study asks for a prediction of this cell"),
        flag("scatter", "Whether the scatter of runs about the law is estimated from this cell"),
        count("params", "N: all parameters, input embedding and untied head included"),
        count(
            "params_no_input_embedding",
            "N without the input embedding; the head stays",
            nullable=True,
        ),
        count("params_no_embeddings", "N without input embedding and output head", nullable=True),
        count("tokens", "D: tokens the recipe trains on", "tokens"),
        number("token_multiplier", "M = D / N as trained", "tokens per parameter"),
        number("flops", "C = 6 N D", "FLOPs"),
        number(
            "flops_exact",
            "Training compute with attention, embedding look-up free",
            "FLOPs",
            nullable=True,
        ),
        count("steps", "Optimiser steps", nullable=True),
        count("batch_tokens", "Tokens in one optimiser step", "tokens", nullable=True),
        text(
            "trunk",
            "Trunk that the cell branches off, a folder below results/trunks; none on a cosine",
            nullable=True,
        ),
        count("trunk_steps", "Steps taken over from the trunk, of `steps`", nullable=True),
        count("width", "Model width d", nullable=True),
        count("layers", "Transformer blocks", nullable=True),
        count("heads", "Attention heads", nullable=True),
        count("vocab", "Vocabulary size", nullable=True),
        count("context", "Sequence length", "tokens", nullable=True),
        number(
            "epochs",
            "D / unique tokens of the training set; above 1 means repetition",
            nullable=True,
        ),
        number("train_loss", "Mean training loss over the last steps", "nats/token", nullable=True),
        number(
            "seconds",
            "Time spent in training steps of its own, all attempts; none of the trunk's",
            "s",
            nullable=True,
        ),
        number("tokens_per_second", "Training throughput", "tokens/s", nullable=True),
        text("device", "What it was trained on: cpu or cuda", nullable=True),
        count("ranks", "Processes that trained it together", nullable=True),
        count(
            "peak_bytes",
            "Most memory of a rank: of its GPU, else of its process",
            "bytes",
            nullable=True,
        ),
        text("backend", "Trainer"),
        text("precision", "Arithmetic of the forward pass", nullable=True),
        text("weights_sha256", "SHA-256 of the final weights", nullable=True),
    ),
)

CURVES = Table(
    "curves",
    "Training curves: one row per recorded optimiser step.",
    ("cell", "step"),
    (
        _CELL,
        count("step", "Optimiser step, counted from 0"),
        count("tokens", "Tokens seen after this step", "tokens"),
        # A diverging run is recorded with the loss that ended it, which is not a number.
        number("loss", "Training cross-entropy of the step", "nats/token", nullable=True),
        number("z_loss", "Auxiliary z-loss of the step", "nats/token", nullable=True),
        number("lr", "Learning rate of the step"),
        number("grad_norm", "Gradient norm before clipping", nullable=True),
    ),
)

LOSSES = Table(
    "losses",
    "Losses of the finished cells; one row per cell and validation set. The intervals hold "
    "evaluation sampling only and are no prediction intervals.",
    ("cell", "validation"),
    (
        _CELL,
        text("validation", "Validation set"),
        number("loss", "Token-mean cross-entropy", "nats/token"),
        number(
            "loss_sequences_lower",
            "95 % interval over sequences, lower end",
            "nats/token",
            nullable=True,
        ),
        number(
            "loss_sequences_upper",
            "95 % interval over sequences, upper end",
            "nats/token",
            nullable=True,
        ),
        number(
            "loss_tokens_lower", "95 % interval over tokens, lower end", "nats/token", nullable=True
        ),
        number(
            "loss_tokens_upper", "95 % interval over tokens, upper end", "nats/token", nullable=True
        ),
        number("bits_per_byte", "Cross-entropy per byte of text", "bits/byte", nullable=True),
        count("sequences", "Sequences evaluated", nullable=True),
        count("tokens", "Tokens evaluated", "tokens", nullable=True),
        count(
            "bytes",
            "Bytes of text: tokens times the split's bytes per token",
            "bytes",
            nullable=True,
        ),
    ),
)

TASKS = Table(
    "tasks",
    "Downstream tasks of the finished cells; one row per cell and task.",
    ("cell", "task"),
    (
        _CELL,
        text("suite", "Task suite"),
        text("task", "Task"),
        text("version", "Version of the task", nullable=True),
        number("error", "1 - accuracy", "fraction"),
        number("error_stderr", "Standard error of `error` over items", "fraction", nullable=True),
        number("chance_error", "Error of guessing", "fraction", nullable=True),
        number(
            "soft_error",
            "1 - probability of the right choice, mean over items; missing without choices",
            "fraction",
            nullable=True,
        ),
        number(
            "soft_error_stderr",
            "Standard error of `soft_error` over items",
            "fraction",
            nullable=True,
        ),
        count("items", "Items evaluated", nullable=True),
        flag("in_average", "Whether the task counts in the average error"),
    ),
)

PROVENANCE = Table(
    "provenance",
    "How the study came about: commits, versions, configuration, time and compute.",
    ("key",),
    (text("key", "Name of the fact"), text("value", "Its value", nullable=True)),
)

ARGUMENTS = Table(
    "arguments",
    "What the records of imported cells say of the run, part by part; empty for trained cells.",
    ("cell", "source", "key"),
    (
        _CELL,
        text("source", "Part of the record"),
        text("key", "Name of the value"),
        text("value", "The value as text"),
    ),
)

SEARCH = Table(
    "search",
    "A hyper-parameter search: one row per configuration that was run; empty without a search.",
    ("configuration",),
    (
        text("configuration", "Name of the configuration"),
        text("cell", "The cell of this study that is the run, if there is one", nullable=True),
        text("status", "done, diverged (loss not finite) or failed (could not be trained)"),
        text("reason", "Why there is no loss, or why the filter leaves the run out", nullable=True),
        count("width", "Model width d"),
        count("layers", "Transformer blocks"),
        count("heads", "Attention heads"),
        count("params", "N: all parameters, input embedding and untied head included"),
        count("tokens", "D: tokens trained on", "tokens"),
        count("ratio", "Nominal token multiplier M", "tokens per parameter"),
        number("flops", "C = 6 N D", "FLOPs"),
        count("batch_sequences", "Sequences in one optimiser step"),
        number("steps", "Optimiser steps"),
        count("warmup", "Steps of warm-up"),
        number("lr", "Peak learning rate"),
        number("loss", "Validation loss of the search", "nats/token", nullable=True),
        flag("frontier", "Whether no cheaper configuration has a lower loss"),
        flag("kept", "Whether it stays on the frontier after the filter"),
        flag("chosen", "Whether the study's models have this configuration"),
    ),
)

SEARCH_FITS = Table(
    "search_fits",
    "Laws of a search: loss over compute along the frontier (L = E + lambda C^-eta), and best "
    "values of hyper-parameters over N (value = scale N^exponent); empty without a search.",
    ("fit", "quantity"),
    (
        text("fit", "kept or chosen points of the frontier, or the hyper-parameter"),
        text("quantity", "A parameter, or loss: and the size it is predicted for; refused if none"),
        count("points", "Points fitted to"),
        number("value", "Its value", nullable=True),
        number("lower", "Lower end of its interval", nullable=True),
        number("upper", "Upper end of its interval", nullable=True),
        number("level", "Nominal coverage of the interval"),
        text("note", "Why there is no law", nullable=True),
    ),
)

SEARCH_RUNGS = Table(
    "search_rungs",
    "The ladder that a search proposes: one row per model; empty without a search.",
    ("size",),
    (
        text("size", "Name of the model size"),
        text("recipe", "Name of its recipe"),
        text("configuration", "The run it is taken from, if it was searched", nullable=True),
        flag("searched", "Whether it was run; otherwise it lies outside of what was searched"),
        count("params", "N: all parameters, input embedding and untied head included"),
        number("flops", "C = 6 N D at the ratio of the search", "FLOPs"),
        count("width", "Model width d"),
        count("layers", "Transformer blocks"),
        count("heads", "Attention heads"),
        count("batch_sequences", "Sequences in one optimiser step"),
        count("warmup", "Steps of warm-up"),
        number("lr", "Peak learning rate"),
        number("loss", "Measured validation loss", "nats/token", nullable=True),
        number("predicted", "Loss by the law of the kept frontier", "nats/token", nullable=True),
        number("lower", "Lower end of its interval", "nats/token", nullable=True),
        number("upper", "Upper end of its interval", "nats/token", nullable=True),
        text("source", "Where its values come from"),
    ),
)

LINTS = Table(
    "lints",
    "What general checks found wrong or odd in the data; none of it was changed.",
    ("check_name", "subject", "message"),
    (
        text("check_name", "Name of the check"),
        text("severity", "warning or note"),
        text("cell", "The cell it concerns, if a single one", nullable=True),
        text("subject", "What it concerns, in a few words"),
        text("message", "What was found"),
    ),
)

COMPARISONS = Table(
    "comparisons",
    "Numbers printed elsewhere beside the same numbers computed from this database.",
    ("item", "quantity"),
    (
        text("item", "Where it is printed"),
        text("quantity", "What it is"),
        text("printed", "The number as printed"),
        number("value", "The number computed here, in the unit of the print", nullable=True),
        flag("agrees", "Whether it rounds to the printed digits", nullable=True),
        text("note", "What to know about the comparison", nullable=True),
    ),
)

CELL_TABLES = (CELLS, CURVES, LOSSES, TASKS, PROVENANCE, ARGUMENTS, SEARCH)
SEARCH_TABLES = (SEARCH_FITS, SEARCH_RUNGS)
