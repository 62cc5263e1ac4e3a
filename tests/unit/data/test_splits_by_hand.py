"""The edges of the splits."""

import pytest

from scalebed.data.splits import split_of


@pytest.mark.parametrize(
    ("position", "split"),
    [
        (0, "train"),
        (8_999, "train"),
        (9_000, "val"),
        (9_949, "val"),
        (9_950, "tasks"),
        (9_999, "tasks"),
        (10_000, "train"),
        (39_000, "val"),
    ],
)
def test_low_digits_below_the_edge_belong_to_a_split(position, split):
    shares = {"train": 90, "val": 9.5, "tasks": 0.5}
    assert split_of(position.to_bytes(16, "big"), shares) == split


def test_percentages_that_leave_a_gap_are_refused():
    with pytest.raises(ValueError, match=r"sum to 99\.5 %, not 100 %"):
        split_of((9_950).to_bytes(16, "big"), {"train": 99.5})
