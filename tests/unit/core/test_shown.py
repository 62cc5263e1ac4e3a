"""What is shown of text that others wrote: it drives no terminal, and long values are cut."""

import pickle

import pytest

from scalebed.core.errors import ScalebedError
from scalebed.core.shown import LONGEST, MESSAGE, sentence, visible


@pytest.mark.parametrize("quote", ["'", '"', ""])
@pytest.mark.parametrize("letter", ["x", "é", "\x1b"])
def test_a_long_value_is_cut_and_its_length_told(quote, letter):
    value = letter * 5000 if quote or letter != "\x1b" else "x" * 5000
    length = f"{5000 * len(visible(value[0])):,}"
    text = str(ScalebedError(f"runs.csv, row 3: loss is {quote}{value}{quote}, expected a number"))
    assert text.startswith(f"runs.csv, row 3: loss is {quote}{visible(value[0])}")
    assert f"… ({length} characters){quote}" in text
    assert len(text) < LONGEST + 60


def test_words_between_quotes_stay_whole():
    text = "row 3 of 'a' isn't one; " + "what the run's row says is read, " * 12 + "expected 'b'"
    assert sentence(text) == text


@pytest.mark.parametrize("value", ["a b " * 3_000_000, "'a " * 3_000_000, "/x" * 5_000_000])
def test_ten_megabytes_make_one_readable_message(value):
    text = str(ScalebedError(f"mine.yaml: name: {value}, expected a name"))
    assert text.startswith("mine.yaml: name: ")
    assert text.endswith(", expected a name")
    assert "characters)" in text
    assert len(text) <= MESSAGE


def test_a_path_that_may_exist_is_told_whole():
    path = "/".join(["folder-of-a-study"] * 40) + "/" + "n" * 250
    assert str(ScalebedError(f"cannot read {path}")) == f"cannot read {path}"


def test_a_message_is_one_line_without_controls():
    text = str(ScalebedError("the data set a\n\tb\r\x1b[31mred\x9b0m\u202e\ud800 has no rows"))
    assert text == r"the data set a\n\tb\r\x1b[31mred\x9b0m\u202e\ud800 has no rows"
    text.encode()


def test_visible_text_keeps_lines_and_letters_of_all_scripts():
    text = "Zeile 1\n\tα β → 数据 \u200d \U0001f9ea"
    assert visible(text) == text


def test_a_message_that_travels_stays_the_same():
    error = ScalebedError("found '" + "y" * 5000 + "'\x07")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(ScalebedError(str(error))) == str(error)
