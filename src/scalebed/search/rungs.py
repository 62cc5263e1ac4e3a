"""The rungs of the ladder: runs of the frontier, and larger models by the trends of the search.

Symbols: N parameters, M token multiplier, C = 6 N D = 6 M N² FLOPs.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError
from scalebed.search.trends import Trend
from scalebed.study.search_runs import recipe_name, size_name
from scalebed.study.search_sections import SEARCHED, Rung, Search
from scalebed.study.sections import Size

Row = dict[str, Any]

OUTSIDE = 1.1
"""A model so many times larger or smaller than all that were searched is outside of the range."""

_CLOSE = 0.05  # N of an architecture made up here is this close to the one asked for, relatively.


class Picked(NamedTuple):
    """One rung."""

    name: str
    size: Size
    values: dict[str, float]
    """What a search varies of a recipe."""
    params: int
    run: Row | None
    """The run it is; None outside of what was searched."""
    notes: list[str]
    """Where its values come from, one sentence each."""

    @property
    def recipe(self) -> str:
        """Name of the recipe."""
        batch, warmup = int(self.values["batch_sequences"]), int(self.values["warmup_steps"])
        return recipe_name(batch, warmup, self.values["lr"])

    def flops(self, ratio: int) -> float:
        """Return the compute at a token multiplier."""
        return arithmetic.flops(self.params, ratio * self.params)


def pick(
    search: Search,
    sizes: Mapping[str, Size],
    marked: Sequence[Row],
    trends: Mapping[str, Trend],
) -> list[Picked]:
    """Return the rungs that a search asks for, by N; none twice.

    Parameters
    ----------
    search
        The section of the study.
    sizes
        All architectures that were searched, by name.
    marked
        Runs as `scalebed.tables.imports.frontier.mark` gives them, with ``size`` and what was
        varied.
    trends
        Laws of hyper-parameters over N, by name.

    Raises
    ------
    ScalebedError
        If no run is on the frontier after the filter, or an architecture of another shape has the
        name of a rung.
    """
    kept = sorted((row for row in marked if row["kept"]), key=lambda row: int(row["params"]))
    if not kept:
        done = sum(row["loss"] is not None for row in marked)
        raise ScalebedError(
            f"the search has no rung to offer: {done} of {len(marked)} runs have a loss and the "
            "filter keeps none of them on the frontier"
        )
    wanted = search.ladder.rungs or _spread(kept, search.ladder.count)
    found: dict[str, Picked] = {}
    for rung in wanted:
        one = _rung(rung, search, sizes, marked, kept, trends)
        if one.name in found:
            found[one.name].notes.append(f"{_asked(rung)} is nearest to it as well")
        else:
            found[one.name] = one
    return sorted(found.values(), key=lambda one: (one.params, one.name))


def _spread(kept: Sequence[Row], count: int) -> list[Rung]:
    """Return rungs that are even over log N between the ends of the kept frontier."""
    low, high = (math.log(row["params"]) for row in (kept[0], kept[-1]))
    steps = [low + (high - low) * index / (count - 1) for index in range(count)]
    return [Rung(params=math.exp(step)) for step in steps]


def _asked(rung: Rung) -> str:
    if rung.flops is not None:
        return f"the rung asked for at {rung.flops:.4g} FLOPs"
    return f"the rung asked for at N = {rung.params or _count(rung.size):.4g}"


def _count(size: Size | None) -> int:
    return arithmetic.count_params(size).total if size else 0


def _rung(
    rung: Rung,
    search: Search,
    sizes: Mapping[str, Size],
    marked: Sequence[Row],
    kept: Sequence[Row],
    trends: Mapping[str, Trend],
) -> Picked:
    params = rung.params or _count(rung.size)
    if rung.flops is not None:
        params = math.sqrt(rung.flops / (6 * search.ratio))
    done = [row["params"] for row in marked if row["loss"] is not None]
    inside = min(done) / OUTSIDE <= params <= max(done) * OUTSIDE
    if rung.size is None and inside:
        run = min(kept, key=lambda row: (abs(math.log(row["params"] / params)), row["loss"]))
        return _searched(run, sizes, [f"{_asked(rung)} is nearest to it of the kept frontier"])
    nearest = min(kept, key=lambda row: (abs(math.log(row["params"] / params)), row["loss"]))
    size = rung.size or scaled(sizes[nearest["size"]], params)
    # What is made up for a size just outside of the range may well be one that was searched.
    same = [row for row in marked if sizes[row["size"]] == size and row["loss"] is not None]
    if same:
        run = min(same, key=lambda row: (row["loss"], row["configuration"]))
        where = "on the kept frontier" if run["kept"] else "not on the kept frontier"
        return _searched(run, sizes, [f"{_asked(rung)} has this architecture, {where}"])
    return _unsearched(rung, size, nearest, (min(done), max(done)), sizes, trends)


def _searched(run: Row, sizes: Mapping[str, Size], notes: list[str]) -> Picked:
    values = {name: run[name] for name in SEARCHED}
    return Picked(run["size"], sizes[run["size"]], values, run["params"], run, notes)


def _unsearched(
    rung: Rung,
    size: Size,
    nearest: Row,
    searched: tuple[int, int],
    sizes: Mapping[str, Size],
    trends: Mapping[str, Trend],
) -> Picked:
    """Return a rung that no run stands for; every value says where it is from."""
    name = size_name(size.width, size.layers, size.heads)
    if sizes.get(name, size) != size:
        raise ScalebedError(
            f"search.ladder.rungs: {name} has another vocab, context or ffn_multiple than the size "
            "of that name that was searched"
        )
    total = _count(size)
    low, high = searched
    if low <= total <= high:
        notes = [f"NOT SEARCHED, though N is within the searched {low} to {high}"]
    else:
        notes = [f"NOT SEARCHED, OUTSIDE of what was searched, N = {low} to {high}"]
    if rung.size is None:
        notes.append(
            f"the architecture has the head width and about the shape of {nearest['size']}"
        )
    values = {key: nearest[key] for key in SEARCHED}
    for key, trend in trends.items():
        values[key] = _extended(key, trend.at(total))
        notes.append(
            f"{key} extrapolated with N^{trend.exponent:.3g} from {trend.points} searched sizes"
        )
    copied = ", ".join(key for key in SEARCHED if key not in trends)
    if copied:
        notes.append(f"{copied} as in {nearest['configuration']}, the nearest kept run")
    return Picked(name, size, values, total, None, notes)


def _extended(key: str, value: float) -> float:
    """Return an extrapolated value with the digits it deserves; batches are powers of two."""
    return float(f"{value:.3g}") if key == "lr" else 2 ** max(0, round(math.log2(value)))


def scaled(like: Size, params: float) -> Size:
    """Return an architecture of about N parameters with the head width of another one.

    Of those within 5 % of N the one whose width over layers is nearest to the other's is taken;
    without any, the one that is nearest in N.
    """
    head = like.width // like.heads
    shape = math.log(like.width / like.layers)
    best: tuple[bool, float, float] | None = None
    found = like
    for layers in range(1, 4 * max(like.layers, 8) + 1):
        for heads in range(1, 4 * max(like.heads, 16) + 1):
            size = like.model_copy(update={"width": head * heads, "layers": layers, "heads": heads})
            off = abs(math.log(_count(size) / params))
            bent = abs(math.log(size.width / layers) - shape)
            rank = (off > _CLOSE, bent if off <= _CLOSE else off, off)
            if best is None or rank < best:
                best, found = rank, size
    return found
