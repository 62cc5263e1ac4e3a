"""How the command of a rule is declared, and how its arguments are read."""

import argparse
import json
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError

Option = tuple[str, dict[str, Any]]
"""Name of an option, and its settings as `argparse` takes them."""


class Rule:
    """The command of a rule; it has what the module of any other verb has.

    Parameters
    ----------
    summary
        What it does, in a sentence.
    function
        ``"module:function"`` that does it.
    *options
        Its options, in the order in which help lists them.
    """

    def __init__(self, summary: str, function: str, *options: Option) -> None:
        self.__doc__ = summary
        self.function = function
        self.options = options

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        for name, settings in self.options:
            parser.add_argument(name, **settings)

    def run(self, args: argparse.Namespace) -> None:
        """Call the function."""
        module, _, name = self.function.partition(":")
        getattr(import_module(module), name)(**vars(args))


def parse_params(
    text: str, required: Collection[str] = (), optional: Collection[str] | None = None
) -> dict[str, Any]:
    """Return the object in a ``--params`` argument.

    Parameters
    ----------
    text
        JSON.
    required, optional
        Its keys; with None for `optional` there may be any others.

    Raises
    ------
    ScalebedError
        If it is not a JSON object, lacks a required key or has an unknown one.
    """
    try:
        params = json.loads(text)
    except json.JSONDecodeError as error:
        raise ScalebedError(f"--params is not JSON: {error}") from error
    if not isinstance(params, dict):
        raise ScalebedError(f"--params is a {type(params).__name__}, expected an object")
    for key in required:
        if key not in params:
            raise ScalebedError(f"--params lacks the key {key!r}")
    for key in params:
        if optional is not None and key not in required and key not in optional:
            allowed = ", ".join(sorted({*required, *optional}))
            raise ScalebedError(f"--params has the unknown key {key!r}, expected {allowed}")
    return params


def option(name: str, what: str, **settings: Any) -> Option:
    """Return an option, for a path unless it says otherwise; it is needed without a default."""
    return name, {"type": Path, "required": "default" not in settings, "help": what} | settings


def positional(name: str, what: str, **settings: Any) -> Option:
    """Return an argument without a name of its own on the command line."""
    return name, {"help": what} | settings


def keys(required: str, optional: str = "") -> Option:
    """Return ``--params`` for an object with these keys and no others."""
    needed, allowed = required.split(), optional.split()
    what = ", ".join(needed) + (f"; perhaps {', '.join(allowed)}" if allowed else "")
    return option("--params", f"JSON: {what}", type=lambda t: parse_params(t, needed, allowed))


def json_object(what: str, **settings: Any) -> Option:
    """Return ``--params`` for an object whose keys the function knows."""
    return option("--params", f"JSON: {what}", type=parse_params, **settings)


class ByName(argparse.Action):
    """Gathers words NAME=MANIFEST, of one use of the option or several, as paths by name."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Add the words of one use."""
        found = dict(getattr(namespace, self.dest) or {})
        for word in values or ():
            name, sign, path = word.partition("=")
            if not (name and sign and path):
                raise ScalebedError(f"{option_string} {word!r} is not of the form NAME=MANIFEST")
            found[name] = Path(path)
        setattr(namespace, self.dest, found)
