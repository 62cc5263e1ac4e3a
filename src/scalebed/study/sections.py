"""The sections of a study file; every key, its meaning and its limits are declared here.

The JSON schema and the reference table of ``config/README.md`` are generated from this module,
`scalebed.study.fit_sections` and `scalebed.study.trained`.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from scalebed.core.arithmetic import Shape
from scalebed.core.backends import Backend
from scalebed.core.cells import NAME, RANGES
from scalebed.core.values import (
    Above0,
    Count,
    Decay,
    Drawing,
    Positive,
    Training,
)
from scalebed.study.ranges import FlopsRange, ParamsRange, TokensRange

# Folders are called `dataset=<name>`, and no file system has names of more than 255 bytes.
Name = Annotated[str, Field(pattern=f"^{NAME}$", max_length=200)]
Ratio = Annotated[int, Field(gt=0, strict=True)]
Multiplier = Ratio | Annotated[float, Field(gt=0, strict=True)]
Seed = Annotated[int, Field(ge=0, strict=True)]


class Strict(BaseModel):
    """A section of the study file: unknown keys are errors, values cannot be changed later."""

    # What is said of the keys is read by `scalebed.study.reference`. Pydantic would read it at each
    # import, which takes longer than all else that a plan imports of a study.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Split(Strict):
    """Percentages of a corpus' documents, chosen by a hash of the document id."""

    train: Annotated[int, Field(ge=0, le=100)] = 92
    """Documents to train on."""
    val: Annotated[int, Field(ge=0, le=100)] = 8
    """Documents for the validation loss."""
    tasks: Annotated[int, Field(ge=0, le=100)] = 0
    """Documents from which a task suite is built."""

    @model_validator(mode="after")
    def _sum(self) -> Self:
        if self.train + self.val + self.tasks != 100:
            total = self.train + self.val + self.tasks
            raise ValueError(f"the percentages sum to {total}, not 100")
        return self


class Corpus(Strict):
    """A body of text and how it is read."""

    reader: str
    """Name of the reader: a package reader, `files` (txt, jsonl, parquet) or `hub`."""
    options: dict[str, Any] = {}
    """Options of the reader, see docs/corpora.md."""
    split: Split = Split()
    """How documents are divided."""


class Tokenizer(Strict):
    """A vocabulary: trained here, taken from a file or from the Hugging Face hub."""

    kind: Literal["bpe", "bytes", "file", "hub"] = "bpe"
    """`bpe` trains a byte-level BPE offline; `bytes` is 256 bytes and an end-of-text token."""
    vocab: Positive | None = None
    """Vocabulary size; needed for `bpe`."""
    corpora: list[Name] = []
    """Corpora whose training split the BPE is trained on."""
    bytes: Positive = 4_000_000
    """Bytes of text taken from each of those corpora."""
    path: str | None = None
    """File of a `file` tokenizer, or name of a `hub` one."""
    merges: str | None = None
    """Merges of a `file` tokenizer given as vocab.json, unless they lie beside it."""
    revision: str | None = None
    """Commit or tag of a `hub` tokenizer."""
    eot: str | None = None
    """Name of the end-of-text token, where the usual names do not find it."""

    @model_validator(mode="after")
    def _needs(self) -> Self:
        if self.kind == "bpe" and (self.vocab is None or not self.corpora):
            raise ValueError("a bpe tokenizer needs vocab and corpora")
        if self.kind in ("file", "hub") and self.path is None:
            raise ValueError(f"a {self.kind} tokenizer needs path")
        return self

    @property
    def tokens(self) -> int | None:
        """Tokens of the vocabulary, where the study says how many there are."""
        return 257 if self.kind == "bytes" else self.vocab


class Dataset(Strict):
    """A training distribution: corpora in proportion, tokenised one way."""

    tokenizer: Name
    """Name of the tokenizer."""
    sources: dict[Name, Above0] = {}
    """Share of each corpus in the tokens, as relative weights. Needed unless all its cells are
    taken from checkpoints."""
    tokens: Positive | None = None
    """Tokens of one epoch if known; lets a plan judge repeats before the data is here."""


class Validation(Strict):
    """A text on which the loss of every cell is measured."""

    corpus: Name
    """Name of the corpus."""
    split: Literal["train", "val", "tasks"] = "val"
    """Which of its documents."""
    max_tokens: Positive = 200_000
    """Tokens evaluated at the most, from the beginning of the split."""


class Suite(Strict):
    """Downstream tasks, run through lm-evaluation-harness."""

    suite: Name
    """Name of the suite; locally built ones lie in results/suites/<suite>."""
    corpus: Name | None = None
    """Corpus from whose `tasks` split the items of locally built tasks are made."""
    tasks: list[str] = []
    """Tasks to run: names of local task files, or of lm-eval where a hub can be reached."""
    table: str | None = None
    """A YAML table of lm-eval tasks with shots and chance level, instead of `tasks`."""
    average: list[str] | None = None
    """Tasks in the average error; all of them when left out."""
    items: Positive = 500
    """Items of each locally built task."""
    context_chars: Count = 100
    """Characters of the sentence before, given as context in locally built tasks."""
    sentence_chars: Positive = 1000
    """Longest sentence of a locally built task; choices must fit the context of the models."""
    seed: Seed = 0
    """Seed of the choice of items."""


class Size(Strict, Shape):  # type: ignore[misc]
    """An architecture."""

    @model_validator(mode="after")
    def _heads(self) -> Self:
        if not self.heads_fit:
            raise ValueError(
                f"width {self.width} over {self.heads} heads is not an even head width"
            )
        return self


class RecipeValues(Strict, Training):  # type: ignore[misc]
    """How a cell is trained; every value of this section is part of the cell's identity."""

    warmup_fraction: Decay | None = None
    """Warm-up as a fraction of the steps of the cell."""
    qk_norm: bool = True
    """Normalise queries and keys."""


class Recipe(RecipeValues):  # type: ignore[misc]
    """A recipe with the values that differ between sizes."""

    backend: Backend = "torch"
    """What trains the cell."""
    source: Literal["training", "checkpoint"] = "training"
    """Whether cells are trained, or taken from checkpoints of open_lm that others trained."""
    checkpoint: str | None = None
    """File of a cell's checkpoint where that is the source; {dataset}, {size}, {ratio} and {seed}
    stand for the cell's coordinates."""
    sizes: dict[Name, dict[str, Any]] = {}
    """Values of this recipe that replace the ones above at a size."""

    @model_validator(mode="after")
    def _checkpoint(self) -> Self:
        if (self.source == "checkpoint") != (self.checkpoint is not None):
            raise ValueError("checkpoint is needed with source: checkpoint, and with no other")
        try:
            (self.checkpoint or "").format(dataset="", size="", ratio="", seed="")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"checkpoint is {self.checkpoint!r}, expected a path with no braces but {{dataset}}"
                ", {size}, {ratio} and {seed}"
            ) from error
        return self


class Block(Strict):
    """A product of coordinates; every combination is a cell."""

    datasets: list[Name] | None = None
    """Data sets; all of the study when left out."""
    sizes: list[Name]
    """Sizes."""
    ratios: list[Ratio]
    """Token multipliers M = D/N, whole tokens per parameter."""
    recipes: list[Name] | None = None
    """Recipes; all of the study when left out."""
    seeds: list[Seed] = [0]
    """Seeds of the initialisation and of the data order."""


class Selector(Strict):
    """Cells with one of the listed values at each listed coordinate, within the listed ranges.

    Every value has to match a cell, so that no name goes wrong in silence.
    """

    datasets: list[Name] | None = None
    """Allowed data sets."""
    sizes: list[Name] | None = None
    """Allowed sizes."""
    ratios: list[Multiplier] | None = None
    """Allowed token multipliers; of imported cells not always whole."""
    recipes: list[Name] | None = None
    """Allowed recipes."""
    seeds: list[Seed] | None = None
    """Allowed seeds."""
    params: ParamsRange | None = None
    """Lowest and highest N, both allowed, null for no limit; as numbers or as in `[10M, 1.4B]`."""
    tokens: TokensRange | None = None
    """Lowest and highest D in the same way."""
    flops: FlopsRange | None = None
    """Lowest and highest training compute C = 6ND in the same way."""

    @model_serializer(mode="wrap")
    def _without_ranges(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave ranges out that are not given: a study without is the one of before there were."""
        given: dict[str, Any] = handler(self)
        return {k: v for k, v in given.items() if k not in RANGES or v is not None}


class Bootstrap(Strict, Drawing):  # type: ignore[misc]
    """How uncertainty is drawn."""

    seed: Seed = 0
    """Seed of the draws."""


class Budget(Strict):
    """What a study may cost; a plan above it is refused."""

    core_hours: Above0 | None = None
    """Estimated hours of training on one device of this machine."""
    flops: Above0 | None = None
    """Training FLOPs (6ND) of the cells still to be trained."""
    gpu_hours: Above0 | None = None
    """Estimated GPU-hours of training; checked where a hardware file names GPUs."""
    money: Above0 | None = None
    """Price of those GPU-hours, checked where the hardware file has `gpu.price_per_hour`."""
