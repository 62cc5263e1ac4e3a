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
    elif len(matching) == len(cells):
        with pytest.raises(ScalebedError, match="the grid is empty"):
            grid.expand([cells], [], [selector])
    else:
        assert grid.expand([cells], [], [selector]) == sorted(set(cells) - matching)


@given(st.lists(SMALL_CELLS, unique=True, min_size=1), SELECTORS)
def test_what_was_excluded_can_be_added_again(cells, selector):
    matching = [cell for cell in cells if grid.matches(cell, selector)]
    if matching:
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
