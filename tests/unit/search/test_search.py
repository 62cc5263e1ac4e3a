"""Searches: malformed files are refused in one sentence, made-up frontiers come out as made."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalebed.core.errors import ScalebedError
from scalebed.search.power import Bootstrap, fit_power
from scalebed.search.summary import summarise
from scalebed.tables.imports.frontier import mark_published
from scalebed.tables.imports.search_grid import read_grid

KEY = "d=64_l=2_h=4-8-0.003-0.033-8-1000000-100-3e-05"


def _row(name: str, flops: float, loss: float, width: int = 64) -> dict[str, Any]:
    shape = {"width": width, "layers": 2, "heads": 2}
    return {"configuration": name, "flops": flops, "loss": loss, **shape}


def _write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def _law(flops: float) -> float:
    return 1.5 + 2000 * flops**-0.17


def _frontier(count: int = 12) -> list[dict[str, Any]]:
    computes = np.geomspace(1e16, 1e19, count)
    return [_row(f"c{number}", float(c), _law(c), 64 + number) for number, c in enumerate(computes)]


def test_read(tmp_path: Path) -> None:
    (row,) = read_grid(_write(tmp_path / "grid.json", {KEY: 3.5}))
    assert (row["width"], row["layers"], row["heads"], row["warmup"]) == (64, 2, 4, 100)
    assert row["params"] == 2 * 50432 * 64 + 2 * (4 * 64**2 + 3 * 64 * 256 + 2 * 64) + 64
    assert row["flops"] == 6.0 * row["params"] * 1_000_000
    assert (row["batch_sequences"], row["loss"]) == (64, 3.5)
    assert row["steps"] == pytest.approx(1_000_000 / (64 * 2048))


def test_heads_that_do_not_divide_the_width_narrow_the_attention(tmp_path: Path) -> None:
    grid = {KEY: 3.5, KEY.replace("h=4", "h=5"): 3.6}
    narrow, whole = read_grid(_write(tmp_path / "grid.json", grid))
    assert whole["params"] - narrow["params"] == 2 * 4 * 64 * 4


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ({}, "expected a JSON object"),
        ([1], "expected a JSON object"),
        ({"d=64_l=2-8": 3.0}, "'d=64_l=2-8' is not of the form"),
        ({KEY.replace("d=64", "d=0"): 3.0}, "is not of the form"),
        ({KEY.replace("-8-1000000", "-16-1000000"): 3.0}, "has batches 8 and 16"),
        ({KEY: "3.0"}, "is '3.0', expected a number above 0"),
        ({KEY: None}, "is None, expected a number above 0"),
        ({KEY: math.nan}, "is nan, expected a number above 0"),
        ({KEY: -1.0}, "is -1.0, expected a number above 0"),
        ({KEY: True}, "is True, expected a number above 0"),
    ],
)
def test_malformed_searches(tmp_path: Path, grid: Any, words: str) -> None:
    path = _write(tmp_path / "grid.json", grid)
    with pytest.raises(ScalebedError) as caught:
        read_grid(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ScalebedError, match="cannot read"):
        read_grid(tmp_path / "none.json")


def test_frontier_and_window() -> None:
    rows = [*_frontier(), _row("worse", 1e17, 99.0, 1), _row("equal", 2e19, _law(1e19), 1)]
    marked = mark_published(rows, [(64, 2, 2)], drop=(9e16, 2e17))
    summary = summarise(marked, fit_flops=1e19)
    by_name = {row["configuration"]: row for row in marked}
    assert not by_name["worse"]["frontier"]
    assert not by_name["equal"]["frontier"]
    assert [row["flops"] for row in marked] == sorted(row["flops"] for row in rows)
    inside = {row["configuration"] for row in rows if 9e16 <= row["flops"] <= 2e17}
    dropped = {row["configuration"] for row in marked if row["frontier"] and not row["kept"]}
    assert dropped == inside - {"worse"}
    assert by_name["c0"]["chosen"]
    assert summary["chosen"] == 1
    assert summary["refused"]["chosen"].startswith("fewer points than parameters")
    assert summary["flops_ratio"] == pytest.approx(sum(row["flops"] for row in rows) / 1e19)


def test_the_law_is_found_again_and_extrapolated() -> None:
    rows = _frontier()
    shapes = [(64 + number, 2, 2) for number in range(0, 12, 2)]
    marked = mark_published(rows, shapes)
    summary = summarise(marked, targets={"big": 1e21}, bootstrap=Bootstrap(draws=50))
    expected = {"E": 1.5, "lambda": 2000.0, "eta": 0.17, "big": _law(1e21)}
    for points in ("kept", "chosen"):
        fits = [row for row in summary["fits"] if row["points"] == points]
        values = {row["quantity"]: row["value"] for row in fits}
        assert values == pytest.approx(expected, rel=1e-5)
    assert summary["flops_ratio"] is None


def test_intervals_follow_the_seed() -> None:
    flops = np.geomspace(1e16, 1e19, 12)
    noise = np.random.default_rng(1).normal(0, 0.01, 12)
    loss = 1.5 + 2000 * flops**-0.17 + noise
    first, second, other = (
        fit_power(flops, loss, {"big": 1e21}, Bootstrap(200, 0.9, seed)) for seed in (0, 0, 1)
    )
    assert first == second
    assert first[-1]["value"] == other[-1]["value"]
    assert first[-1]["lower"] != other[-1]["lower"]
    assert first[-1]["lower"] < first[-1]["value"] < first[-1]["upper"]


def test_choices_that_cannot_be() -> None:
    with pytest.raises(ScalebedError, match="no configuration of the search has width 1, 2 layers"):
        mark_published(_frontier(), [(1, 2, 3)])


def test_points_that_cannot_be_fitted_leave_their_reason() -> None:
    rows = mark_published(_frontier(2), [])
    summary = summarise(rows)
    assert len(rows) == 2
    assert summary["fits"] == []
    assert summary["refused"]["kept"].startswith("fewer points than parameters: 2 points")
    assert "chosen" in summary["refused"]
    assert mark_published([], []) == []
    assert summarise([])["frontier"] == 0


def test_repeated_points_have_no_intervals() -> None:
    flops = np.repeat(np.geomspace(1e16, 1e19, 3), 2)
    found = fit_power(flops, np.array([_law(c) for c in flops]), {}, Bootstrap())
    assert {row["lower"] for row in found} == {None}
