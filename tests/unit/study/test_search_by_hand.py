"""Searches whose exclusions name what there is not."""

import pytest
from search_study import search_values

from scalebed.core.errors import ScalebedError
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
