"""The command line: ``scalebed VERB``; a verb is a file beside this one or an entry of `RULES`."""

import argparse
import contextlib
import gc
import logging
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Protocol, cast

import scalebed
from scalebed.commands import extras, surroundings
from scalebed.commands.interrupted import say_interrupted
from scalebed.commands.rules import RULES
from scalebed.core.errors import ScalebedError
from scalebed.core.shown import made_visible, sentence, visible

PEOPLE = {
    "fit": "runs.csv --target params=7e9,tokens=140e9",
    "predict": "runs.csv --target params=7B,tokens=140B",
    "decide": "runs.csv --compute 1e22 --serve-tokens 2T",
    "suggest": "runs.csv --compute 1e22 --until 1%",
    "isoflop": "runs.csv --compute 1e22",
    "seal": "runs.csv --target params=7B,tokens=140B --out 7b.json",
    "watch": "curve.csv --seal 7b.json --source default",
    "judge": "7b.json --loss 2.233",
    "ledger": "seals",
    "init": "mine",
    "plan": "--study config/config.yaml",
    "verify": "default",
    "show-predictions": "--database results/studies/default/study.duckdb",
    "compare": "default",
    "calibrate": "default",
    "contrast": "default formal mixture",
    "generate": '--prompt "The river" --cell '
    "results/cells/dataset=mixture/size=279k/ratio=10/recipe=base/seed=1",
    "export": "mixture/279k/10 --to mixture-279k",
}
"""What people type, with an example each, in the order of help."""
CONTRIBUTORS = {"write-schema": "--check"}
"""The same for who works on scalebed itself."""
_GARBAGE = 100_000
_INTERRUPTED = "Query interrupted"  # what DuckDB makes of ^C


class Command(Protocol):
    """A rule, or the module of any other verb."""

    __doc__: str | None

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""

    def run(self, args: argparse.Namespace) -> int | None:
        """Do it; return the exit status, None for 0."""


def command(verb: str) -> Command:
    """Return what a verb stands for."""
    module = f"scalebed.commands.{verb.replace('-', '_')}"
    return cast(Command, RULES.get(verb) or import_module(module))


class _Parser(argparse.ArgumentParser):
    """Reads the words up to the verb; its help lists the verbs."""

    def format_help(self) -> str:
        """Return the help; only here are all verbs imported, for their first lines."""
        self.description = "\n".join((scalebed.__doc__ or "", *_listing()))
        return super().format_help()


def _listing() -> Iterator[str]:
    yield "Commands, an example each (`scalebed VERB --help` says more):"
    yield from _examples(PEOPLE)
    yield "\nFor who works on scalebed:"
    yield from _examples(CONTRIBUTORS)
    yield "\nRun by the rules of the workflow:"
    for verb in RULES:
        yield f"  {verb:18} {_summary(verb)}"


def _examples(verbs: dict[str, str]) -> Iterator[str]:
    for verb, words in verbs.items():
        yield f"  scalebed {verb} {words}\n      {_summary(verb)}"


def _summary(verb: str) -> str:
    return (command(verb).__doc__ or "").partition("\n")[0]


def _parser() -> argparse.ArgumentParser:
    # Abbreviations of these options could be options of a verb.
    parser = _Parser(
        prog="scalebed",
        usage="scalebed [-h] [--version] [--verbose] VERB ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=scalebed.__version__)
    parser.add_argument("--verbose", action="store_true", help="log more of what happens")
    verbs = (*PEOPLE, *CONTRIBUTORS, *RULES)
    parser.add_argument(
        "words", nargs=argparse.PARSER, choices=verbs, metavar="VERB", help=argparse.SUPPRESS
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return its exit status: 0 done, 2 bad input, 75 interrupted and saved."""
    try:
        return _run(argv)
    except (KeyboardInterrupt, RuntimeError) as error:
        if isinstance(error, RuntimeError) and str(error) != _INTERRUPTED:
            raise
        sys.excepthook = say_interrupted
        raise KeyboardInterrupt from error


def _run(argv: list[str] | None) -> int:
    known = _parser().parse_args(argv)
    verb, *words = known.words
    _log(logging.DEBUG if known.verbose else logging.INFO)
    if verb in PEOPLE:
        # What imports make lives on; to search it for garbage again and again is a tenth of a fit.
        gc.set_threshold(_GARBAGE)
    chosen = command(verb)
    parser = argparse.ArgumentParser(prog=f"scalebed {verb}", description=chosen.__doc__)
    chosen.arguments(parser)
    try:
        # Names in a table may be anything; a terminal is to show them and not to obey them.
        with (
            contextlib.redirect_stdout(made_visible(sys.stdout)),
            contextlib.redirect_stderr(made_visible(sys.stderr)),
        ):
            return chosen.run(parser.parse_args(words)) or 0
    except BrokenPipeError:
        # Whoever reads us, `head` for one, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BaseException as error:
        # The panics of libraries in Rust derive from it too.
        said = None if isinstance(error, (KeyboardInterrupt, SystemExit)) else _said(error)
        if said is None:
            raise
        print(f"scalebed {verb}: error: {said}", file=sys.stderr)
        return 2


def _said(error: BaseException) -> str | None:
    """As `_told`, if need be with the memory of what failed."""
    try:
        return _told(error)
    except MemoryError:
        error.__traceback__ = None
        return _told(error)


def _told(error: BaseException) -> str | None:
    """Return the sentence of an error that is no bug; None of one that is."""
    if isinstance(error, ScalebedError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        said = extras.advice(error)
        return said and f"this {said}"
    said = surroundings.advice(error)
    if said is not None:
        logging.getLogger(__name__).debug("where it happened", exc_info=error)
    return said and sentence(said)


class _Formatter(logging.Formatter):
    """Writes control characters out."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return visible(super().format(record))


def _log(level: int) -> None:
    logging.basicConfig(level=level)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    # Libraries log every request and cache hit at INFO; only our own progress is of interest.
    for name in ("httpx", "httpx2", "datasets", "huggingface_hub", "lm_eval", "absl"):
        logging.getLogger(name).setLevel(logging.WARNING)
