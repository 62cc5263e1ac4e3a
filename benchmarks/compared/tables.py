"""All tables that were asked for, and the page on them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.compared import curves, runs
from benchmarks.compared.entry import CURVES, Entry, read_entries
from benchmarks.compared.files import NotHereError, files_of
from benchmarks.compared.page import page
from scalebed import __version__
from scalebed.core.errors import ScalebedError
from scalebed.core.files import write_json, write_text
from scalebed.core.values import Drawing

ENTRIES = Path(__file__).resolve().parents[2] / "config" / "zoo"


def compared(entry: Entry, tables: Path | None, kept: Path, draws: int) -> dict[str, Any]:
    """Return our numbers beside the authors'; a table that is not in the folder is only named."""
    try:
        files = files_of(entry, tables, kept)
    except NotHereError as missing:
        return {"missing": str(missing)}
    if entry.authors.law == CURVES:
        return curves.compare(entry, files)
    return runs.compare(entry, files, draws)


def write(out: Path, entries: Mapping[str, Entry], tables: Path | None, draws: int) -> list[str]:
    """Compare every table and write the page; returns what went wrong, a sentence each."""
    found, wrong = {}, []
    for name, entry in entries.items():
        try:
            record = compared(entry, tables, out / "tables", draws)
        except ScalebedError as error:
            wrong.append(f"{name}: {error}")
            record = {"missing": str(error)}
        found[name] = (entry, record)
    numbers = {name: record for name, (_, record) in found.items()}
    write_json(out / "zoo.json", {"draws": draws, "scalebed": __version__, "tables": numbers})
    write_text(out / "zoo.md", page(found, draws, __version__))
    return wrong


def chosen(folder: Path, names: list[str]) -> dict[str, Entry]:
    """Return the entries that were asked for; all without a name."""
    entries = read_entries(folder)
    unknown = [name for name in names if name not in entries]
    if unknown:
        raise ScalebedError(f"no table {unknown[0]!r} in {folder}, expected {', '.join(entries)}")
    return {name: entry for name, entry in entries.items() if not names or name in names}


def main(words: Sequence[str] | None = None) -> int:
    """Write the page; the exit status is 2 for a bad entry and 1 if a table failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--tables", type=Path, default=os.environ.get("ZOO") or None, help="folder of copies (ZOO)")
    add("--entries", type=Path, default=ENTRIES, help="folder of *.yaml (config/zoo)")
    add("--only", action="append", default=[], metavar="NAME", help="a table; all without it")
    add("--draws", type=int, default=Drawing.draws, help="draws behind the intervals (4000)")
    add("--out", type=Path, default=Path("results/zoo"), help="folder of the page (results/zoo)")
    args = parser.parse_args(words)
    try:
        entries = chosen(args.entries, args.only)
        wrong = write(args.out, entries, args.tables, args.draws)
    except ScalebedError as error:
        print(f"zoo: {error}", file=sys.stderr)
        return 2
    for sentence in wrong:
        print(f"zoo: {sentence}", file=sys.stderr)
    print(f"written: {args.out / 'zoo.md'} and {args.out / 'zoo.json'}")
    return 1 if wrong else 0
