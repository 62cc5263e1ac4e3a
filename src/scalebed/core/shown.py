"""Text of others as it may be shown: nothing that drives a terminal, and no longer than is read."""

import re
from typing import IO, Any, cast

LONGEST = 200
"""Characters of one value in a message, what is said of those left out among them."""
MESSAGE = 2000
"""Characters of a message, the same."""
_END = 400
_SEARCHED = 20_000
"""Characters of a text that is searched for quotes, whose time is quadratic if they never end."""
LONGEST_NAME = 1000
"""Characters of a name, of a run or a column say, that can still be told from another."""
# Controls but tab and newline, what reverses the reading direction or is not seen at all, halves
# of surrogates. Joiners (200c, 200d) stay, because scripts and emoji are written with them.
_CONTROL = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
# Text that is no markup: of letters and such signs, but for links, mentions and emphasis.
_PLAIN = re.compile(r"[\w ./:;+=,%()'\[\]×–-]*")
_MARKUP = re.compile(r"(?<!\w)_|_(?!\w)|\](?=\()|://|www\.")
_QUOTED = re.compile(r"(?<!\w)(['\"])(.*?)\1(?!\w)")
# No file system has a name this long; paths may be longer.
_WORD = re.compile(r"[^\s/'\"]{255,}[^\s/'\",;:]")


def visible(text: str) -> str:
    r"""Return a text with its control characters written out, as ``\x1b``; lines stay lines."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def unfit(name: str) -> str | None:
    """Return what a name was expected to be that nobody could read in a line; None for others."""
    if len(name) > LONGEST_NAME:
        return f"a name of at most {LONGEST_NAME:,} characters"
    if "\n" in name or "\t" in name or _CONTROL.search(name):
        return "a name on one line, without characters that cannot be seen"
    return None


def in_line(text: str) -> str:
    """Return a text as one visible line."""
    return visible(text).replace("\n", r"\n").replace("\t", r"\t")


def in_markdown(text: str) -> str:
    """Return a text as Markdown shows it: what could be markup or a mention stands as code."""
    text = in_line(text)
    if _PLAIN.fullmatch(text) and not _MARKUP.search(text):
        return text
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    blank = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{blank}{text}{blank}{fence}"


def sentence(text: str) -> str:
    r"""Return a message as one visible line in which no value is longer than `LONGEST`."""
    text = in_line(text)
    if len(text) <= _SEARCHED:
        text = _QUOTED.sub(lambda found: f"{found[1]}{shortened(found[2])}{found[1]}", text)
    text = _WORD.sub(lambda found: shortened(found[0]), text)
    return _without_middle(text)


def shortened(text: str) -> str:
    """Return a value as it is, or its beginning and how long it was."""
    if len(text) <= LONGEST:
        return text
    told = f"… ({len(text):,} characters)"
    return text[: LONGEST - len(told)] + told


def _without_middle(text: str) -> str:
    """Return a message without its middle; what was expected often stands at the end."""
    if len(text) <= MESSAGE:
        return text
    told = f" … ({len(text):,} characters) … "
    return text[: MESSAGE - _END - len(told)] + told + text[-_END:]


class Visible:
    """A stream that shows control characters instead of sending them to a terminal."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text with its control characters written out."""
        self._stream.write(visible(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        """Return anything else of the stream."""
        return getattr(self._stream, name)


def made_visible(stream: IO[str]) -> IO[str]:
    """Return the stream, with control characters written out."""
    return cast(IO[str], Visible(stream))
