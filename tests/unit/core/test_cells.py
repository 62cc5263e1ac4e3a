"""Grids: expansion, exclusion, addition and paths, as properties."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalebed.core import cells as grid
from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError

NAMES = st.from_regex(grid.NAME, fullmatch=True)
CELLS = st.builds(
    Cell,
    dataset=NAMES,
    size=NAMES,
    ratio=st.integers(1, 10_000),
    recipe=NAMES,
    seed=st.integers(0, 10_000),
)
# Few values, so that cells, selectors and additions meet.
FEW = st.sampled_from(["a", "b", "c"])
RATIOS = st.sampled_from([1, 5, 20])
SMALL_CELLS = st.builds(Cell, FEW, FEW, RATIOS, FEW, st.sampled_from([0, 1]))
SELECTORS = st.fixed_dictionaries(
    {},
    optional={
        "datasets": st.lists(FEW, min_size=1),
        "sizes": st.none() | st.lists(FEW, min_size=1),
        "ratios": st.lists(RATIOS, min_size=1),
    },
)


def read_path(path: str) -> Cell:
    """Return the cell of a path, read the way DuckDB reads Hive partitions."""
    values = dict(part.split("=") for part in path.split("/"))
    return Cell(
        values["dataset"],
        values["size"],
        int(values["ratio"]),
        values["recipe"],
        int(values["seed"]),
    )


def idle(selector, matching):
    """Return the values of a selector that none of the cells it matches has."""
    return {
        value
        for key, values in selector.items()
        for value in values or ()
        if value not in {getattr(cell, key.removesuffix("s")) for cell in matching}
    }


@given(CELLS)
def test_a_path_tells_the_cell_and_stays_in_its_folder(cell):
    assert read_path(cell.path) == cell
    assert re.fullmatch(r"[a-z0-9_=/]+", cell.path)
    assert not any(part in ("", ".", "..") for part in cell.path.split("/"))


@given(st.lists(SMALL_CELLS, unique=True, min_size=1), st.randoms())
def test_expansion_is_sorted_unique_and_independent_of_order(cells, random):
    shuffled = list(cells)
    random.shuffle(shuffled)
    cut = random.randrange(len(cells) + 1)
    expanded = grid.expand([shuffled[:cut], shuffled[cut:]], [], [])
    assert expanded == sorted(set(cells))


@given(st.lists(SMALL_CELLS, unique=True, min_size=1), SELECTORS)
def test_exclusion_takes_exactly_the_cells_that_match(cells, selector):
    matching = {cell for cell in cells if grid.matches(cell, selector)}
    if not matching:
        with pytest.raises(ScalebedError, match=r"exclude\[0\] matches no cell"):
            grid.expand([cells], [], [selector])
    elif idle(selector, matching):
        with pytest.raises(ScalebedError, match=r"exclude\[0\]: .* no cell.*; there is "):
            grid.expand([cells], [], [selector])
    elif len(matching) == len(cells):
        with pytest.raises(ScalebedError, match="the grid is empty"):
            grid.expand([cells], [], [selector])
    else:
        assert grid.expand([cells], [], [selector]) == sorted(set(cells) - matching)


@given(st.lists(SMALL_CELLS, unique=True, min_size=1), SELECTORS)
def test_what_was_excluded_can_be_added_again(cells, selector):
    matching = [cell for cell in cells if grid.matches(cell, selector)]
    if matching and not idle(selector, matching):
        assert grid.expand([cells], matching, [selector]) == sorted(cells)


@given(SMALL_CELLS, SELECTORS)
def test_matching_asks_every_coordinate_that_is_listed(cell, selector):
    expected = (
        cell.dataset in (selector.get("datasets") or [cell.dataset])
        and cell.size in (selector.get("sizes") or [cell.size])
        and cell.ratio in (selector.get("ratios") or [cell.ratio])
    )
    assert grid.matches(cell, selector) == expected


@given(
    st.lists(FEW, unique=True),
    st.lists(FEW, unique=True),
    st.lists(RATIOS, unique=True),
    st.lists(FEW, unique=True),
    st.lists(st.integers(0, 3), unique=True),
)
def test_a_product_has_every_combination_once(datasets, sizes, ratios, recipes, seeds):
    cells = grid.product(datasets, sizes, ratios, recipes, seeds)
    expected = len(datasets) * len(sizes) * len(ratios) * len(recipes) * len(seeds)
    assert len(cells) == len(set(cells)) == expected


@given(st.lists(SMALL_CELLS, unique=True, min_size=1), st.data())
def test_a_cell_declared_twice_is_refused_and_named(cells, data):
    twice = data.draw(st.sampled_from(cells))
    for blocks, add, where in (([cells, [twice]], [], "grid"), ([cells], [twice], "add")):
        with pytest.raises(ScalebedError) as caught:
            grid.expand(blocks, add, [])
        assert str(caught.value) == f"{where}: the cell {twice.path} is declared twice"


@pytest.mark.parametrize("name", ["..", "a/b", "a=b", "A", "a b", "a.b", "", "_a", "é", "a\n"])
def test_names_that_cannot_be_part_of_a_path(name):
    assert re.fullmatch(grid.NAME, name) is None


LADDER = [Cell("web", size, ratio, "base", 0) for size in ("20m", "124m") for ratio in (5, 20)]
N = {"20m": 20e6, "124m": 124e6}


def amounts(cell):
    return {"params": N[cell.size], "tokens": N[cell.size] * cell.ratio, "flops": None}


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        (
            {"sizes": ["20m", "125m", "50m"]},
            "here: sizes '125m', '50m' match no cell; there is 20m, 124m",
        ),
        (
            {"sizes": ["20m", "124m"], "ratios": [5, 40]},
            "here: ratios 40 matches no cell beside its other keys; there is 5, 20",
        ),
        (
            {"seeds": [7]},
            "here matches no cell of the grid: seeds 7 matches no cell; there is 0",
        ),
        (
            {"params": (4e8, None)},
            "here matches no cell of the grid: params [400M, null] matches no cell; "
            "there is 20M .. 124M",
        ),
        (
            {"sizes": ["20m"], "tokens": (5e8, 7e8)},
            "here matches no cell of the grid: sizes '20m' matches no cell beside its other keys; "
            "there is 124m",
        ),
        ({"flops": (None, 1e20)}, "here matches no cell of the grid: flops [null, 1e+20] matches"),
        ({"datasets": []}, "here matches no cell of the grid"),
    ],
)
def test_a_value_that_matches_nothing_is_named_with_what_there_is(selector, said):
    with pytest.raises(ScalebedError) as caught:
        grid.choose(LADDER, selector, "here", amounts)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ({"params": (20e6, 20e6)}, LADDER[:2]),
        ({"params": (None, 123e6)}, LADDER[:2]),
        ({"params": (21e6, None)}, LADDER[2:]),
        ({"tokens": (400e6, 620e6)}, LADDER[1:3]),
        ({"tokens": (1, None), "ratios": [20], "params": (1, 1e8)}, LADDER[1:2]),
        ({"params": None}, LADDER),
    ],
)
def test_ranges_include_their_ends(ends, expected):
    assert grid.choose(LADDER, ends, "here", amounts) == expected
