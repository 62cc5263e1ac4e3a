"""What is shown of text that others wrote: it drives no terminal, and long values are cut."""

import pickle

import hostile_texts
import pytest

from scalebed.core.errors import ScalebedError
from scalebed.core.shown import LONGEST, MESSAGE, in_markdown, sentence, unfit, visible


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


@pytest.mark.parametrize("letter", "\xad\u061c\u200b\u200e\u200f\u2060\ufeff\U000e0041")
def test_letters_that_cannot_be_seen_are_written_out(letter):
    assert visible(f"a{letter}b") == f"a{ascii(letter)[1:-1]}b"


@pytest.mark.parametrize("name", hostile_texts.NAMES)
def test_a_name_of_one_visible_line_is_fit(name):
    assert unfit(name) is None


@pytest.mark.parametrize("name", hostile_texts.UNFIT)
def test_a_name_that_nobody_can_read_in_a_line_is_not(name):
    assert str(unfit(name)).startswith("a name ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("red_pajama 2.1, C4/en (v1)", "red_pajama 2.1, C4/en (v1)"),
        (
            "held to 9x of 2.78x the compute: +0.61% off",
            "held to 9x of 2.78x the compute: +0.61% off",
        ),
        ("<img src=x>", "`<img src=x>`"),
        ("@all", "`@all`"),
        ("a_b _c_", "`a_b _c_`"),
        ("[a](b)", "`[a](b)`"),
        ("http://x.y", "`http://x.y`"),
        ("`a` ``", "``` `a` `` ```"),
        ("a\n# b\x1b", r"`a\n# b\x1b`"),
    ],
)
def test_markdown_shows_names_and_follows_none(text, said):
    assert in_markdown(text) == said
