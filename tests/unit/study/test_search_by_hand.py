"""Exclusions that name what there is not, and cool-downs that begin too soon."""

from types import SimpleNamespace

import pytest
from search_study import search_values

from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError
from scalebed.study import branches
from scalebed.study.load import parse_any


@pytest.mark.parametrize(
    ("left", "words"),
    [
        ({"widths": [16, 99]}, "widths of no run is 99; there is 16, 32, 64"),
        ({"lr": [0.01, 7.0, 8.0]}, "lr of no run is 7, 8; there is 0.003, 0.01"),
        ({"layers": [2], "widths": [48]}, "widths of no run is 48; there is 16, 32, 64"),
    ],
)
def test_an_exclusion_names_values_of_runs(left, words):
    with pytest.raises(ScalebedError) as caught:
        parse_any(search_values(exclude=[{"widths": [64], "lr": [0.01]}, left]), "hunt.yaml")
    assert "search.exclude[1]" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("schedule", "warmup", "refused"),
    [("wsd", 800, False), ("wsd", 801, True), ("cosine", 801, False), ("wsd", None, False)],
)
def test_a_cool_down_begins_after_the_warm_up(monkeypatch, schedule, warmup, refused):
    """128,000 tokens in steps of 4 sequences of 32: 1,000 steps, of which the last 200 cool."""
    values = SimpleNamespace(
        schedule=schedule, warmup_steps=warmup, batch_sequences=4, cooldown=0.2
    )
    cell = Cell("red", "small", 5, "base", 0)
    study = SimpleNamespace(
        cells=lambda: [cell],
        recipe_values=lambda *given: values,
        sizes={"small": SimpleNamespace(context=32)},
    )
    monkeypatch.setattr(branches.arithmetic, "count_params", lambda size: SimpleNamespace(total=1))
    monkeypatch.setattr(branches.arithmetic, "steps_for", lambda n, ratio, batch: 128_000 // batch)
    if refused:
        words = "has 1000 steps and would cool down from step 800, before its warm-up of 801 steps"
        with pytest.raises(ScalebedError, match=words):
            branches.check_cool_downs(study)
    else:
        branches.check_cool_downs(study)
