"""How many small changes of the source the tests notice, each by the tests of its own room.

    python benchmarks/mutants.py record --work /tmp/mutants  # which test calls what
    python benchmarks/mutants.py run --work /tmp/mutants     # goes on where it was ended
    python benchmarks/mutants.py again --work /tmp/mutants   # the survivors, with sharper tests
    python benchmarks/mutants.py score --work /tmp/mutants

The sample is drawn from the source and a seed alone, before any test is looked at: `--each`
mutants of every room, operators in turn, places at random; rooms in turn, so that any first part
of it is stratified too. A mutant is tried in a copy of what is committed. It meets those tests of
its room that call the function it lies in (all tests of a file that imports it, if that happens
outside of a test) and counts as noticed if one fails, crashes or takes ten times its processor
time and half a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mutated import forked
from mutated.operators import Mutant, is_python, mutants_of

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src/scalebed"
# What compiled code calls is seen by no tracer: the tests that hold kernels against NumPy.
COMPILED = "fit/solvers/kernels/"
KERNELS = ("test_kernels", "test_fit_engine", "test_fit_general", "test_fit_robust")


def room(path: str) -> str:
    """Return the room of a module: its first folder; what lies beside the rooms is commands'."""
    return path.partition("/")[0] if "/" in path else "commands"


def sample(each: int, seed: int) -> list[Mutant]:
    """Draw mutants, rooms in turn."""
    rooms: dict[str, dict[str, list[Mutant]]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        path = file.relative_to(PACKAGE).as_posix()
        for one in mutants_of(PACKAGE, path):
            rooms.setdefault(room(path), {}).setdefault(one.operator, []).append(one)
    drawn = []
    for name, operators in sorted(rooms.items()):
        draw = random.Random(f"{seed} {name}")
        drawn.append(list(_in_turn(operators, draw, each)))
    return [one for turn in zip(*drawn, strict=True) for one in turn]


def _in_turn(
    operators: dict[str, list[Mutant]], draw: random.Random, each: int
) -> Iterator[Mutant]:
    names = sorted(operators)
    draw.shuffle(names)
    number = 0
    while number < each:
        left = [name for name in names if operators[name]]
        found = operators[left[number % len(left)]]
        one = found.pop(draw.randrange(len(found)))
        if is_python(one.applied((PACKAGE / one.path).read_bytes())):
            number += 1
            yield one


class Tests:
    """Which tests call what, as recorded."""

    def __init__(self, work: Path) -> None:
        files = {file.stem: file.read_text() for file in sorted((work / "reached").glob("*.json"))}
        self._files = {name: json.loads(text) for name, text in files.items() if text}

    def of(self, mutant: Mutant, whole: bool) -> tuple[list[str], float]:
        """Return the tests for a mutant, soonest first, and how long they take in seconds."""
        found: list[tuple[float, list[str]]] = []
        for name, file in self._files.items():
            folder, stem = name.split("+")[-2:]
            if folder == room(mutant.path):
                tests = _of_file(mutant, stem, file, whole)
                found.append((sum(file["seconds"][test] for test in tests), tests))
        return [test for _, tests in sorted(found) for test in tests], sum(one for one, _ in found)


def _of_file(mutant: Mutant, stem: str, file: dict, whole: bool) -> list[str]:
    sound = [test for test in file["seconds"] if test not in file["failed"]]
    if mutant.path.startswith(COMPILED):
        return sound if stem.startswith(KERNELS) else []
    called = f"{mutant.path}:{mutant.place or '<module>'}"
    if called in file["calls"]["*"] or (whole and mutant.path in file["loaded"]):
        return sound
    return [test for test in sound if called in file["calls"].get(test, ())]


def copy_of(work: Path, part: str) -> Path:
    """Return a copy of what is committed, made or renewed."""
    tree = work / f"tree-{part}"
    if not tree.exists():
        subprocess.run(["git", "clone", "-q", REPOSITORY, tree], check=True)
    subprocess.run(["git", "-C", tree, "fetch", "-q", "origin", "HEAD"], check=True)
    subprocess.run(["git", "-C", tree, "reset", "-q", "--hard", "FETCH_HEAD"], check=True)
    subprocess.run(["python", "-m", "compileall", "-q", tree / "src"], check=True)
    return tree


def tried(tree: Path, mutant: Mutant, tests: Tests, whole: bool) -> dict:
    """Run the tests for one mutant and put the file back."""
    names, seconds = tests.of(mutant, whole)
    file = tree / "src/scalebed" / mutant.path
    source, stat = file.read_bytes(), file.stat()
    outcome = forked.Outcome(False, "no test of the room calls it", 0.0)
    if names:
        try:
            file.write_bytes(mutant.applied(source))
            os.utime(file, (stat.st_atime + 1000, stat.st_mtime + 1000))
            extra = 300 if mutant.path.startswith(COMPILED) else 30
            outcome = forked.run(tree, names, 10 * seconds + extra, 20 * seconds + 2 * extra)
        finally:
            file.write_bytes(source)
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    old = source[mutant.start : mutant.end].decode()
    said = {"key": mutant.key, "room": room(mutant.path), "old": old, **mutant._asdict()}
    return {**said, "tests": len(names), **outcome._asdict()}


def record(options: argparse.Namespace) -> None:
    """Write down which test calls what, for files of tests that have no record yet."""
    tree, folder = copy_of(options.work, options.part), options.work / "reached"
    folder.mkdir(exist_ok=True)
    files = (tree / "tests/unit").glob("*/test_*.py")
    for file in sorted(files, key=lambda file: file.stat().st_size):
        name = file.relative_to(tree).as_posix()
        out = folder / f"{name[:-3].replace('/', '+')}.json"
        if out.exists() or (options.only and not any(word in name for word in options.only)):
            continue
        out.touch()  # Another part takes the next.
        found = forked.reached(tree, name, options.seconds, 20 * options.seconds)
        out.write_text(json.dumps(found)) if found else out.unlink()
        seconds = sum(found["seconds"].values()) if found else 0
        print(f"{name}: {seconds:.0f} s, failed {found and found['failed']}", flush=True)


def results(work: Path) -> dict[str, dict]:
    """Return the last outcome of each mutant tried."""
    lines = [json.loads(line) for file in work.glob("out-*.jsonl") for line in file.open()]
    return {line["key"]: line for line in sorted(lines, key=lambda line: line["at"])}


def go_on(options: argparse.Namespace) -> None:
    """Try the mutants that were not tried yet, or the survivors again."""
    tree, tests = copy_of(options.work, options.part), Tests(options.work)
    number, parts = map(int, options.part.split("of"))
    known = results(options.work)
    missed = {key for key, line in known.items() if not line["noticed"]}
    with (options.work / f"out-{options.part}.jsonl").open("a") as out:
        for count, mutant in enumerate(sample(options.each, options.seed)[: options.first]):
            open_now = mutant.key in missed if options.what == "again" else mutant.key not in known
            chosen = not options.only or any(word in mutant.key for word in options.only)
            if count % parts == number - 1 and open_now and chosen:
                line = {
                    "count": count,
                    "at": time.time(),
                    **tried(tree, mutant, tests, options.whole),
                }
                out.write(json.dumps(line) + "\n")
                out.flush()
                print(count, line["noticed"], mutant.key, f"{line['seconds']:.0f} s", line["by"])


def score(options: argparse.Namespace) -> None:
    """Print what was noticed by room and by operator, and the survivors."""
    lines = list(results(options.work).values())
    for by in ("room", "operator"):
        tried_, noticed = Counter(), Counter()
        for line in lines:
            tried_[line[by]] += 1
            noticed[line[by]] += bool(line["noticed"])
        for name in sorted(tried_):
            print(f"{name:20} {noticed[name]:4} of {tried_[name]:4}")
    print(f"{'all':20} {sum(noticed.values()):4} of {len(lines):4}")
    for line in sorted(lines, key=lambda line: line["key"]):
        if not line["noticed"]:
            said = (
                f"{line['path']}:{line['line']} {line['operator']}: {line['old']} -> {line['text']}"
            )
            print(" ".join(said.split()), f"({line['tests']} tests; {line['by']})")


def main() -> None:
    """Read the command line."""
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("what", choices=["record", "run", "again", "score"])
    words.add_argument("--work", type=Path, required=True, help="folder for copies and outcomes")
    words.add_argument("--each", type=int, default=18, help="mutants of each room")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--first", type=int, help="only so many mutants of the sample")
    words.add_argument("--seconds", type=int, default=600, help="of recording one file of tests")
    words.add_argument("--part", default="1of1", help="of runs beside each other, as 1of2")
    words.add_argument("--only", nargs="*", help="words in the names of tests, or of mutants")
    words.add_argument("--whole", action="store_true", help="all tests that import the module")
    options = words.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    forked.warm()
    {"record": record, "run": go_on, "again": go_on, "score": score}[options.what](options)


if __name__ == "__main__":
    main()
