"""Amounts as people write them."""

import pytest

from scalebed.core.errors import ScalebedError
from scalebed.core.quantities import FLOPS, PARAMS, TOKENS, amount_text, read_amount


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7B", 7e9),
        ("7b", 7e9),
        ("1.4T", 1.4e12),
        ("1e22", 1e22),
        ("300 M", 3e8),
        ("12k", 12e3),
        ("2,500,000", 2.5e6),
        ("7_000_000_000", 7e9),
    ],
)
def test_amounts_with_and_without_units(text, value):
    assert read_amount(text, "--x", PARAMS) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("text", ["", "B", "7Q", "-3B", "nan", "inf", "1e999", "7BB", "0"])
def test_what_is_no_amount_is_named(text):
    with pytest.raises(ScalebedError, match=r"--max-params is .*parameters such as 7B"):
        read_amount(text, "--max-params", PARAMS)


@pytest.mark.parametrize(("text", "amount"), [("7", PARAMS), ("140", TOKENS), ("22", FLOPS)])
def test_a_number_without_its_unit_is_questioned(text, amount):
    with pytest.raises(ScalebedError, match="is a unit missing, as in"):
        read_amount(text, "--x", amount)


def test_none_at_all_is_an_amount_where_it_may_be():
    assert read_amount("0", "--serve-tokens", TOKENS, zero=True) == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7.02e9, "7.02B"),
        (999.6e9, "1T"),
        (1.4e12, "1.4T"),
        (149.3, "149"),
        (0.5, "0.5"),
        (float("inf"), "unlimited"),
    ],
)
def test_amounts_for_people(value, text):
    assert amount_text(value) == text
