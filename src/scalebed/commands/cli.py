"""The command line: ``scalebed VERB``, one verb per rule of the workflow."""

import argparse
import ast
import importlib
import logging
import os
import sys
from pathlib import Path

import scalebed
from scalebed.core.errors import ScalebedError

_VERBS = Path(__file__).parent
_NO_VERBS = ("cli", "params")


def verbs() -> dict[str, str]:
    """Return every verb with the first line of its module's docstring.

    The files are parsed, not imported, so that ``--help`` and typing errors cost nothing.
    """
    found = {}
    for file in sorted(_VERBS.glob("[a-z]*.py")):
        if file.stem in _NO_VERBS:
            continue
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        found[file.stem.replace("_", "-")] = text.partition("\n")[0]
    return found


def _parser(words: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scalebed", description=(scalebed.__doc__ or ""))
    parser.add_argument("--version", action="version", version=scalebed.__version__)
    parser.add_argument("--verbose", action="store_true", help="log more of what happens")
    listing = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, summary in _possible(words).items():
        listing.add_parser(verb, help=summary, add_help=False)
    return parser


def _possible(words: list[str]) -> dict[str, str]:
    """Return the verb that the words begin with, or every verb where that is to be told apart.

    Reading the summaries of all takes longer than all else before a verb runs.
    """
    verb = words[0] if words else ""
    known = verb[:1].islower() and (_VERBS / f"{verb.replace('-', '_')}.py").is_file()
    return {verb: ""} if known else verbs()


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return its exit status: 0 done, 2 bad input, 75 interrupted and saved."""
    words = sys.argv[1:] if argv is None else argv
    known, rest = _parser(words).parse_known_args(words)
    level = logging.DEBUG if known.verbose else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    # Libraries log every request and cache hit at INFO; only our own progress is of interest.
    for name in ("httpx", "httpx2", "datasets", "huggingface_hub", "lm_eval", "absl"):
        logging.getLogger(name).setLevel(logging.WARNING)
    module = importlib.import_module(f"scalebed.commands.{known.verb.replace('-', '_')}")
    parser = argparse.ArgumentParser(prog=f"scalebed {known.verb}", description=module.__doc__)
    module.arguments(parser)
    args = parser.parse_args(rest)
    try:
        return module.run(args) or 0
    except BrokenPipeError:
        # Whoever reads us, `head` for one, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ScalebedError as error:
        print(f"scalebed {known.verb}: error: {error}", file=sys.stderr)
        return 2
