"""How people name a run to predict: params=N,tokens=D."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scalebed.core.errors import ScalebedError
from scalebed.core.quantities import PARAMS, TOKENS, read_amount

if TYPE_CHECKING:
    from scalebed.predict.table_runs import Target

_KINDS: Final = {"params": PARAMS, "tokens": TOKENS, "unique": TOKENS}
_NAMED: Final = {"unique": "unique=U", "dataset": "dataset=NAME"}


def read_target(text: str, more: tuple[str, ...] = ("unique",)) -> Target:
    """Read one --target.

    Parameters
    ----------
    text : str
        Words ``key=value`` with commas between them.
    more : tuple of str
        What may be named beside ``params`` and ``tokens``: ``unique``, ``dataset``.

    Raises
    ------
    ScalebedError
        If it does not name N and D once each, as amounts above 0.
    """
    from scalebed.predict.table_runs import Target

    perhaps = " and ".join(_NAMED[key] for key in more)
    expected = f"expected params=N,tokens=D{' and perhaps ' if more else ''}{perhaps}"
    words: dict[str, str] = {}
    for word in text.split(","):
        key, _, value = (part.strip() for part in word.partition("="))
        if key not in ("params", "tokens", *more) or not value:
            raise ScalebedError(f"--target {text}: cannot read {word!r}, {expected}")
        if key in words:
            raise ScalebedError(f"--target {text}: {key} is given twice, {expected}")
        words[key] = value
    for key in ("params", "tokens"):
        if key not in words:
            raise ScalebedError(f"--target {text}: {key} is missing, {expected}")
    found = {
        key: read_amount(words[key], f"--target {text}: {key}", kind)
        for key, kind in _KINDS.items()
        if key in words
    }
    return Target(found["params"], found["tokens"], words.get("dataset"), found.get("unique"))
