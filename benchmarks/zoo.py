"""Public tables of runs, fitted as their authors did: our numbers beside theirs, on one page.

    python benchmarks/zoo.py                                # fetches the tables: make zoo
    python benchmarks/zoo.py --tables ../shared/zoo         # make zoo ZOO=../shared/zoo
    python benchmarks/zoo.py --only sardana --draws 200

A table is a file of config/zoo, see docs/zoo.md. The page is OUT/zoo.md, its numbers OUT/zoo.json.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# numba asks for the package `coverage`, which is not the file beside this one.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.compared import curves, runs
from benchmarks.compared.entry import CURVES, Entry, read_entries
from benchmarks.compared.files import NotHereError, files_of
from benchmarks.compared.page import page
from scalebed import __version__
from scalebed.core.errors import ScalebedError
from scalebed.core.files import write_json, write_text
from scalebed.core.values import Drawing

ENTRIES = Path(__file__).resolve().parents[1] / "config" / "zoo"


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


def main() -> int:
    """Write the page; the exit status is 2 for a bad entry and 1 if a table failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", type=Path, default=os.environ.get("ZOO") or None)
    parser.add_argument("--entries", type=Path, default=ENTRIES)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--draws", type=int, default=Drawing.draws)
    parser.add_argument("--out", type=Path, default=Path("results/zoo"))
    args = parser.parse_args()
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


if __name__ == "__main__":
    sys.exit(main())
