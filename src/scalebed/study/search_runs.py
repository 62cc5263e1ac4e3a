"""From a declared search to ordinary sizes and recipes, and to the runs that pair them."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from pydantic import ValidationError

from scalebed.core.arithmetic import count_params
from scalebed.study.search_sections import (
    SEARCHED,
    Architectures,
    Counts,
    Rates,
    RunSelector,
    Search,
)
from scalebed.study.sections import Recipe, Size


class Run(NamedTuple):
    """One point of a search: a size and a recipe by name, with the values that were varied."""

    size: str
    recipe: str
    width: int
    layers: int
    heads: int
    batch_sequences: int
    warmup_steps: int
    lr: float


class Expanded(NamedTuple):
    """Sizes and recipes by name, and the runs in the order in which they were declared."""

    sizes: dict[str, Size]
    recipes: dict[str, Recipe]
    runs: list[Run]


def expand(search: Search) -> Expanded:
    """Return the runs of a search.

    Raises
    ------
    ValueError
        Naming the key, if something is listed twice, a width goes with no number of heads, an
        exclusion matches nothing, or a size has nothing to be trained with.
    """
    sizes = _sizes(search)
    runs = [run for name, size in sizes.items() for run in _runs(search, name, size)]
    for index, left in enumerate(search.exclude):
        kept = [run for run in runs if not _matches(run, left)]
        where = f"search.exclude[{index}]"
        where += " matches no run of the search" if len(kept) == len(runs) else ""
        _check_values(runs, left, where)
        if len(kept) == len(runs):
            raise ValueError(where)
        runs = kept
    if not runs:
        raise ValueError("search.exclude leaves no run of the search")
    by_name = {run.recipe: _recipe(search, run) for run in runs}
    used = {run.size for run in runs}
    return Expanded({name: sizes[name] for name in sizes if name in used}, by_name, runs)


def size_name(width: int, layers: int, heads: int) -> str:
    """Return the name of an architecture, such as ``w96_l8_h4``."""
    return f"w{width}_l{layers}_h{heads}"


def recipe_name(batch_sequences: int, warmup_steps: int, lr: float) -> str:
    """Return the name of a recipe, such as ``b64_w100_lr3e_3``; no two rates share one."""
    _, digits, exponent = Decimal(repr(float(lr))).normalize().as_tuple()
    first, *rest = (str(digit) for digit in digits)
    mantissa = f"{first}_{''.join(rest)}" if rest else first
    power = len(digits) - 1 + int(exponent)
    rate = f"{mantissa}e_{-power}" if power < 0 else f"{mantissa}e{power}"
    return f"b{batch_sequences}_w{warmup_steps}_lr{rate}"


def _of(item: float | Counts | Rates) -> Sequence[float]:
    return item.values if isinstance(item, Counts | Rates) else [item]


def _once(where: str, values: Iterable[Any]) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{where}: {value!r} is listed twice")
        seen.add(value)


def _sizes(search: Search) -> dict[str, Size]:
    sizes = dict(search.sizes)
    for index, block in enumerate(search.architectures):
        where = f"search.architectures[{index}]"
        for name, size in _product(block, where):
            if name in sizes:
                raise ValueError(f"{where}: the size {name} is declared twice")
            sizes[name] = size
    return sizes


def _product(block: Architectures, where: str) -> Iterable[tuple[str, Size]]:
    for name in ("widths", "layers", "heads"):
        _once(f"{where}.{name}", getattr(block, name))
    common = {name: getattr(block, name) for name in ("vocab", "context", "ffn_multiple")}
    for width in block.widths:
        heads = [h for h in block.heads if width % h == 0 and width // h % block.head_multiple == 0]
        if not heads:
            raise ValueError(
                f"{where}: width {width} over none of heads {block.heads} gives a head width that "
                f"is a multiple of {block.head_multiple}"
            )
        for layers in block.layers:
            for number in heads:
                name = size_name(width, layers, number)
                yield name, Size(width=width, layers=layers, heads=number, **common)


def _runs(search: Search, name: str, size: Size) -> Iterable[Run]:
    params = count_params(size).total
    tried: dict[str, list[Any]] = {}
    for key in SEARCHED:
        items = getattr(search, key)
        tried[key] = [
            value
            for item in items
            if not isinstance(item, Counts | Rates) or item.covers(params)
            for value in _of(item)
        ]
        if not tried[key]:
            raise ValueError(f"search.{key} has no value for the size {name}, N = {params}")
        _once(f"search.{key} at the size {name}", tried[key])
    for batch in tried["batch_sequences"]:
        for warmup in tried["warmup_steps"]:
            for lr in tried["lr"]:
                recipe = recipe_name(batch, warmup, lr)
                yield Run(
                    name, recipe, size.width, size.layers, size.heads, batch, warmup, float(lr)
                )


def _matches(run: Run, left: RunSelector) -> bool:
    given = left.model_dump(exclude_none=True)
    return all(getattr(run, _field(key)) in allowed for key, allowed in given.items())


def _field(key: str) -> str:
    return "width" if key == "widths" else key


def _check_values(runs: list[Run], left: RunSelector, where: str) -> None:
    """Raise ValueError if a value of a selector is that of no run."""
    for key, allowed in left.model_dump(exclude_none=True).items():
        there = {getattr(run, _field(key)) for run in runs}
        missing = [f"{value:g}" for value in allowed if value not in there]
        if missing:
            known = ", ".join(f"{value:g}" for value in sorted(there))
            raise ValueError(f"{where}: {key} of no run is {', '.join(missing)}; there is {known}")


def _recipe(search: Search, run: Run) -> Recipe:
    try:
        return Recipe(**(search.recipe.model_dump() | varied(run, search.lr_end_fraction)))
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in detail["loc"])
        text = f"search.{key}: {detail['msg']} (found {detail['input']!r})"
        raise ValueError(text) from error


def varied(run: Run, lr_end_fraction: float) -> dict[str, Any]:
    """Return the values of a recipe in which runs differ."""
    values = {name: getattr(run, name) for name in SEARCHED}
    # Twelve digits, so that 0.003 times 0.01 is 3e-05.
    return values | {"lr_end": float(f"{run.lr * lr_end_fraction:.12g}")}
