"""The published grid search: frontier, filter, fits and cost, to the digits we know."""

from typing import Any

import pytest
import testbed

from scalebed.core import arithmetic
from scalebed.search.summary import summarise
from scalebed.tables.imports.frontier import mark_published
from scalebed.tables.imports.search_grid import read_grid

SHAPES = [arithmetic.Shape(**size) for size in arithmetic.SIZE_TABLES["gadre2024"].values()]
COUNTS = [arithmetic.count_params(shape).total for shape in SHAPES]
KEPT = {"lambda": 2379.3, "eta": 0.17395, "E": 1.4199, "1400m": 2.0939, "6900m": 1.8109}
CHOSEN = {"lambda": 1738.8, "eta": 0.16462, "E": 1.3063, "1400m": 2.0695, "6900m": 1.7621}
# Compute of the five runs of the loss law.
FIT_FLOPS = 6.0 * (20 * sum(params**2 for params in COUNTS[:4]) + 320 * COUNTS[0] ** 2)


@pytest.fixture(scope="module")
def found() -> tuple[list[testbed.Row], dict[str, Any]]:
    marked = mark_published(
        read_grid(testbed.folder() / "grid.json"),
        [(shape.width, shape.layers, shape.heads) for shape in SHAPES[:4]],
        drop=(5.2e16, 5.2e17),
    )
    return marked, summarise(
        marked,
        targets={"1400m": 120.0 * COUNTS[4] ** 2, "6900m": 120.0 * COUNTS[5] ** 2},
        fit_flops=FIT_FLOPS,
    )


def test_every_configuration_has_twenty_tokens_a_parameter(
    found: tuple[list[testbed.Row], dict[str, Any]],
) -> None:
    rows, _ = found
    assert all(row["tokens"] == 20 * row["params"] for row in rows)
    assert len({(row["width"], row["layers"], row["heads"]) for row in rows}) == 130
    assert {row["batch_sequences"] for row in rows} == {64, 128, 512}
    assert min(row["steps"] for row in rows) == pytest.approx(828, abs=1)
    assert max(row["steps"] for row in rows) == pytest.approx(7851, abs=1)


def test_search_filter_and_choice(found: tuple[list[testbed.Row], dict[str, Any]]) -> None:
    rows, summary = found
    counts = [summary[name] for name in ("configurations", "frontier", "kept", "chosen")]
    assert counts == [435, 28, 21, 4]
    chosen = [row for row in rows if row["chosen"]]
    assert all(row["kept"] for row in chosen)
    assert [row["params"] for row in chosen] == COUNTS[:4]
    assert [row["warmup"] for row in chosen] == [100, 400, 400, 2000]
    assert [round(row["loss"], 4) for row in chosen] == [5.1538, 3.3130, 2.8698, 2.4701]


def test_cost(found: tuple[list[testbed.Row], dict[str, Any]]) -> None:
    _, summary = found
    assert summary["flops"] == pytest.approx(1.173e21, rel=5e-4)
    assert summary["flops_ratio"] == pytest.approx(48.6, abs=0.05)


@pytest.mark.parametrize(("points", "expected"), [("kept", KEPT), ("chosen", CHOSEN)])
def test_fits(
    found: tuple[list[testbed.Row], dict[str, Any]], points: str, expected: dict[str, float]
) -> None:
    _, summary = found
    fits = {row["quantity"]: row for row in summary["fits"] if row["points"] == points}
    assert {name: row["value"] for name, row in fits.items()} == pytest.approx(expected, rel=5e-5)
    for row in fits.values():
        # Four points and three parameters leave nothing to draw from.
        assert (row["lower"] is None) == (points == "chosen")
        if row["lower"] is not None:
            assert row["lower"] < row["value"] < row["upper"]
