import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalebed.core.errors import ScalebedError
from scalebed.data.splits import check_percentages, document_hash, split_of
from scalebed.data.text import (
    first_occurrences,
    normalise_code,
    normalise_prose,
    strings_at,
    strip_html,
)


def test_prose_typography_is_made_plain():
    assert normalise_prose(
        "\ufeff\u201cIt\u2019s\u00a0 so\u201d\u2014he said\u2026 \r\n\r\n\r\n\r\nEnd\t.  "
    ) == ('"It\'s so"--he said...\n\nEnd .')


def test_prose_is_composed():
    assert normalise_prose("de\u0301ja\u0300") == "d\u00e9j\u00e0"


@given(st.text())
def test_prose_normalisation_is_stable(text):
    once = normalise_prose(text)
    assert normalise_prose(once) == once


def test_code_keeps_indentation_and_quotes():
    assert normalise_code("\r\ndef f():\r\n    return '\u2019'  \r\n\r\n\r\n") == (
        "def f():\n    return '\u2019'"
    )


def test_html_becomes_lines():
    fragment = "<p>Use <code>a &lt; b</code>.</p><ul><li><p>One</p></li><li>Two</li></ul>"
    assert strip_html(fragment) == "Use a < b.\nOne\nTwo"


def test_strings_come_in_the_order_of_the_tree():
    tree = {
        "doc": "a",
        "b": [{"doc": "b"}, {"x": {"doc": "c"}}],
        "doc2": "no",
        "d": {"doc": {"doc": "d"}},
    }
    assert list(strings_at(tree, "doc")) == ["a", "b", "c", "d"]


def test_repeated_texts_are_dropped_across_calls():
    seen: set[str] = set()
    assert first_occurrences(iter(["a", "", "b", "a"]), seen) == ["a", "b"]
    assert first_occurrences(iter(["b", "c"]), seen) == ["c"]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"train": 90, "val": 5}, "sum to 95 %"),
        ({"train": 90, "test": 10}, "split 'test' is unknown"),
        ({"train": 101, "val": -1}, "split val is -1"),
        ({"train": "90", "val": 10}, "split train is '90'"),
        ({}, "sum to 0 %"),
    ],
)
def test_bad_percentages(split, message):
    with pytest.raises(ScalebedError, match=message):
        check_percentages("c", split)


def test_percentages_of_zero_drop_out():
    assert check_percentages("c", {"tasks": 0, "val": 0.5, "train": 99.5}) == {
        "train": 99.5,
        "val": 0.5,
    }


def test_split_shares_follow_the_percentages():
    split = {"train": 70, "val": 20, "tasks": 10}
    drawn = [split_of(document_hash(str(i)), split) for i in range(20_000)]
    # Four standard errors of a binomial share of 20,000.
    for name, percent in split.items():
        share = percent / 100
        assert abs(drawn.count(name) / 20_000 - share) < 4 * (share * (1 - share) / 20_000) ** 0.5


@given(st.text(), st.integers(0, 100))
def test_split_depends_on_the_id_alone_and_grows_monotonically(identifier, percent):
    key = document_hash(identifier)
    smaller = split_of(key, {"train": percent, "val": 100 - percent})
    if smaller == "train" and percent < 100:
        assert split_of(key, {"train": percent + 1, "val": 99 - percent}) == "train"


def test_known_hash():
    # MD5 of "abc" (RFC 1321, appendix A.5).
    assert document_hash("abc").hex() == "900150983cd24fb0d6963f7d28e17f72"
