"""A whole study file: loading it, checking that its sections agree, expanding its cells."""

from functools import partial
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from scalebed.core.arithmetic import SIZE_TABLES
from scalebed.core.cells import ALL, Cell, expand, product
from scalebed.core.errors import ScalebedError
from scalebed.core.tracking import PATTERN, check_tracker
from scalebed.core.trunk_files import Kept
from scalebed.study.amounts import amounts
from scalebed.study.branches import check_cool_downs
from scalebed.study.checks import Check
from scalebed.study.figures import PLOTS
from scalebed.study.fit_checks import check_laws, known
from scalebed.study.fit_sections import Fit
from scalebed.study.roles import cell_roles, check_seal
from scalebed.study.sections import (
    Block,
    Bootstrap,
    Budget,
    Corpus,
    Dataset,
    Name,
    Recipe,
    RecipeValues,
    Selector,
    Size,
    Strict,
    Suite,
    Tokenizer,
    Validation,
)
from scalebed.study.yaml import first_complaint


def _sizes(value: Any) -> Any:
    if isinstance(value, str):
        if value not in SIZE_TABLES:
            known = ", ".join(SIZE_TABLES)
            raise ValueError(f"no table of sizes is called {value!r}; there is {known}")
        return SIZE_TABLES[value]
    return value


def _tracker(value: Any) -> Any:
    try:
        return check_tracker(value) if isinstance(value, str) else value
    except ScalebedError as error:
        raise ValueError(str(error)) from error


class Measured(Strict):
    """What a study and a search have in common: texts to train on and to measure the loss on."""

    name: Name
    """Name of the study; results lie in results/studies/<name>."""
    title: str
    """Heading of the report."""
    corpora: Annotated[dict[Name, Corpus], Field(min_length=1)]
    """Bodies of text by name."""
    tokenizers: Annotated[dict[Name, Tokenizer], Field(min_length=1)]
    """Vocabularies by name."""
    datasets: Annotated[dict[Name, Dataset], Field(min_length=1)]
    """Training distributions by name."""
    validation: Annotated[dict[Name, Validation], Field(min_length=1)]
    """Texts to measure the loss on, by name."""
    tracking: Annotated[str, Field(pattern=PATTERN), BeforeValidator(_tracker)] | None = None
    """What trainings are told to: `wandb`, `trackio`, `tensorboard` or a `module:function` of
    yours, see docs/tracking.md; part of no cell, so that an edit trains nothing again."""


class Study(Measured):
    """A study: what is trained, on what it is measured, and what is predicted from it."""

    tasks: Suite | None = None
    """Downstream tasks; no error law is fitted without them."""
    sizes: Annotated[dict[Name, Size], Field(min_length=1), BeforeValidator(_sizes)]
    """Architectures by name, or the name of a table (`gadre2024`)."""
    recipes: Annotated[dict[Name, Recipe], Field(min_length=1)]
    """Training recipes by name."""
    grid: list[Block] = []
    """Blocks of cells; their union is the grid."""
    exclude: list[Selector] = []
    """Cells taken out of the blocks."""
    add: list[Block] = []
    """Cells put in after that."""
    fit: Fit
    """Which cells are fitted and predicted."""
    bootstrap: Bootstrap = Bootstrap()
    """How uncertainty is drawn."""
    checks: list[Check] = ["decisions", "calibration", "reliability", "contrasts"]
    """What the study measures about itself: coverage of the intervals, which tasks can be
    predicted, data sets pair by pair, and (minutes) a `tournament` of all laws."""
    budget: Budget = Budget()
    """What the study may cost."""
    allow_repeats: bool = False
    """Whether a cell may see its data more than once."""
    trunk_states: Kept = "all"
    """Which states of its trunks stay on disk when the study is done: `all` that its cells leave
    at, or the `last` of each trunk; another cool-down then trains the trunk again."""
    figures: dict[Name, dict[str, Any]] = {}
    """Options of figures by figure name; changing them redraws figures and nothing else."""

    @model_validator(mode="after")
    def _references(self) -> Self:
        _check_references(self)
        return self

    def cells(self) -> list[Cell]:
        """Return the expanded grid, sorted.

        Raises
        ------
        ScalebedError
            If a cell is declared twice, an exclusion matches nothing, or the grid is empty.
        """
        return expand(
            [self._block(block) for block in self.grid],
            [cell for block in self.add for cell in self._block(block)],
            [selector.model_dump() for selector in self.exclude],
            partial(amounts, self),
        )

    def _block(self, block: Block) -> list[Cell]:
        return product(
            block.datasets if block.datasets is not None else list(self.datasets),
            block.sizes,
            block.ratios,
            block.recipes if block.recipes is not None else list(self.recipes),
            block.seeds,
        )

    def recipe_values(self, recipe: str, size: str) -> RecipeValues:
        """Return a recipe with the replacements for one size applied."""
        values = self.recipes[recipe].model_dump(
            exclude={"backend", "source", "checkpoint", "sizes"}
        )
        return RecipeValues(**(values | self.recipes[recipe].sizes.get(size, {})))


def _check_references(study: Study) -> None:
    """Raise ValueError, naming key and value, when one section points at nothing in another."""
    for name, tokenizer in study.tokenizers.items():
        known(tokenizer.corpora, study.corpora, f"tokenizers.{name}.corpora", "corpus")
    for name, dataset in study.datasets.items():
        where = f"datasets.{name}"
        known([dataset.tokenizer], study.tokenizers, f"{where}.tokenizer", "tokenizer")
        known(dataset.sources, study.corpora, f"{where}.sources", "corpus")
    for name, validation in study.validation.items():
        known([validation.corpus], study.corpora, f"validation.{name}.corpus", "corpus")
    if study.tasks is not None:
        corpus = [study.tasks.corpus] if study.tasks.corpus else []
        known(corpus, study.corpora, "tasks.corpus", "corpus")
        if study.tasks.tasks:
            known(study.tasks.average, study.tasks.tasks, "tasks.average", "task of the suite")
    if ALL in study.datasets and len(study.datasets) > 1:
        raise ValueError(
            f"datasets: {ALL!r} stands for all data sets together, expected another name"
        )
    known([study.fit.loss], study.validation, "fit.loss", "validation text")
    check_laws(study.fit)
    plots = [spec.get("plot", name) for name, spec in study.figures.items()]
    known(plots, PLOTS, "figures", "figure")
    _check_recipes(study)
    blocks = [("grid", block) for block in study.grid] + [("add", block) for block in study.add]
    selectors = [("exclude", item) for item in study.exclude]
    selectors += [("fit.loss_cells", item) for item in study.fit.loss_cells]
    selectors += [("fit.error_cells", item) for item in study.fit.error_cells or []]
    selectors += [("fit.targets", item) for item in study.fit.targets]
    selectors += [("fit.scatter_cells", item) for item in study.fit.scatter_cells or []]
    for where, item in blocks + selectors:
        known(item.datasets, study.datasets, f"{where}.datasets", "data set")
        known(item.sizes, study.sizes, f"{where}.sizes", "size")
        known(item.recipes, study.recipes, f"{where}.recipes", "recipe")


def _check_recipes(study: Study) -> None:
    for name, recipe in study.recipes.items():
        known(recipe.sizes, study.sizes, f"recipes.{name}.sizes", "size")
        for size in study.sizes:
            try:
                values = study.recipe_values(name, size)
            except ValidationError as error:
                raise ValueError(
                    f"recipes.{name}.sizes.{size}: {first_complaint(error)}"
                ) from error
            if (values.warmup_steps is None) == (values.warmup_fraction is None):
                raise ValueError(f"recipes.{name}: give either warmup_steps or warmup_fraction")
            if values.schedule == "wsd" and values.warmup_steps is None:
                raise ValueError(
                    f"recipes.{name}.warmup_fraction is {values.warmup_fraction}, but a trunk has "
                    "one warm-up for all of its branches; expected warmup_steps with schedule wsd"
                )
            if values.schedule == "wsd" and (recipe.backend, recipe.source) != (
                "torch",
                "training",
            ):
                raise ValueError(
                    f"recipes.{name}.schedule is wsd, but cells of the backend "
                    f"{recipe.backend} cannot branch off a trunk; expected cosine, or backend torch"
                )
            if values.batch_sequences % values.micro:
                raise ValueError(
                    f"recipes.{name}: micro_sequences {values.micro_sequences} does not divide "
                    f"batch_sequences {values.batch_sequences}"
                )


def _check_vocabularies(study: Study) -> None:
    """Raise ScalebedError when a cell's model has fewer rows than its tokenizer has tokens."""
    for cell in study.cells():
        tokenizer = study.datasets[cell.dataset].tokenizer
        needed = study.tokenizers[tokenizer].tokens
        rows = study.sizes[cell.size].vocab
        if needed is not None and rows < needed:
            raise ScalebedError(
                f"sizes.{cell.size}.vocab is {rows}, but the tokenizer {tokenizer} of data set "
                f"{cell.dataset} has {needed} tokens"
            )


def _check_sources(study: Study) -> None:
    """Raise ScalebedError when a cell is to be trained on a data set that names no text."""
    for cell in study.cells():
        trained = study.recipes[cell.recipe].source == "training"
        if trained and not study.datasets[cell.dataset].sources:
            raise ScalebedError(
                f"datasets.{cell.dataset}.sources is missing, but the recipe {cell.recipe} trains "
                "on it: expected at least one corpus"
            )


def parse_study(values: Any, where: str) -> Study:
    """Return the study that `values` describe.

    Parameters
    ----------
    values
        The parsed YAML of a study file.
    where
        Name of the file, for messages.

    Raises
    ------
    ScalebedError
        If a key is unknown or missing, a value is impossible, or the grid does not expand.
    """
    if not isinstance(values, dict):
        raise ScalebedError(f"{where}: a study file is a mapping of keys, found {values!r:.60}")
    try:
        study = Study.model_validate(values)
        check_study(study)
    except ValidationError as error:
        raise ScalebedError(f"{where}: {first_complaint(error)}") from error
    except ScalebedError as error:
        raise ScalebedError(f"{where}: {error}") from error
    return study


def check_study(study: Study) -> None:
    """Check what one section alone cannot tell: roles of cells, vocabularies and sources.

    Raises
    ------
    ScalebedError
        If the grid does not expand, a selector matches nothing, a model is too small, or a trunk
        is left in its warm-up.
    """
    check_seal(roles(study), study.fit, study.recipes)
    _check_vocabularies(study)
    _check_sources(study)
    check_cool_downs(study)


def roles(study: Study) -> dict[Cell, dict[str, bool]]:
    """Return, for each cell of the study in order, what it is there for; see `cell_roles`."""
    return cell_roles(study.cells(), study.fit, partial(amounts, study))
