"""Check all files of a project, or of one study, and say what to delete where one is damaged."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalebed.commands.lines import print_lines

if TYPE_CHECKING:
    from scalebed.core.at_rest import Account


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("study", nargs="?", help="name of a study in results/studies; all of them if not given")
    add("--adopt", action="store_true", help="write digests of files without one, as they are now")
    add("--json", action="store_true", help="print JSON in place of text")


def run(args: argparse.Namespace) -> int:
    """Print what is damaged; the exit status is 1 if anything is."""
    import json

    from scalebed.core.at_rest import adopt, examine
    from scalebed.core.errors import ScalebedError

    root, studies = Path(), Path("results", "studies")
    known = [path.name for path in studies.glob("*") if path.is_dir()]
    if args.study is not None and args.study not in known:
        raise ScalebedError(f"there is no study {args.study!r} in {studies}")
    if not any((root / name).is_dir() for name in ("results", "state")):
        raise ScalebedError("there is neither results nor state in this folder, nothing to verify")
    account = examine(root, args.study)
    if args.adopt:
        adopt(account.unchecked)
    if args.json:
        print(json.dumps(_record(account), indent=1, allow_nan=False))
    else:
        print_lines(*_lines(account, args.adopt))
    return 1 if account.faults else 0


def _record(account: Account) -> dict[str, Any]:
    faults = [
        {"path": str(one.path), "what": one.what, "delete": [str(path) for path in one.delete]}
        for one in account.faults
    ]
    return {
        "checked": account.checked,
        "bytes": account.bytes,
        "damaged": faults,
        "unchecked": [str(path) for path in account.unchecked],
    }


def _lines(account: Account, adopted: bool) -> Iterator[str]:
    size = f"{account.bytes / 1e6:,.1f} MB"
    said = "none is damaged" if not account.faults else f"{len(account.faults)} damaged:"
    yield f"{account.checked:,} files compared with their digests ({size}), {said}"
    for fault in account.faults:
        yield f"  {fault.path} {fault.what}"
    if account.unchecked:
        yield from _unchecked(account.unchecked, adopted)
    delete = dict.fromkeys(path for fault in account.faults for path in fault.delete)
    if delete:
        import shlex

        yield "to have it made anew, delete and run the study again:"
        yield f"  rm -f {' '.join(shlex.quote(str(path)) for path in delete)}"
    for fault in account.faults:
        if not fault.delete:
            yield f"bring back a copy of {fault.path}: it cannot be made again"


def _unchecked(paths: list[Path], adopted: bool) -> Iterator[str]:
    """Yield what could not be compared, counted by folder and kind."""
    count = len(paths)
    now = "which they have now" if adopted else "of before there were any, or written by others"
    yield f"{count:,} without a digest, {now}:"
    kinds = Counter(f"{'/'.join(path.parts[:2])}: {path.name}" for path in paths)
    named = kinds.most_common(12)
    for kind, number in named:
        yield f"  {number:,} × {kind}" if number > 1 else f"  {kind}"
    if more := count - sum(number for _, number in named):
        yield f"  and {more:,} more (--json names all)"
