"""How many small changes of the source the tests notice, each by the tests of its own room.

    python benchmarks/mutants.py run --work /tmp/mutants     # goes on where it was ended
    python benchmarks/mutants.py again --work /tmp/mutants   # the survivors, with sharper tests
    python benchmarks/mutants.py score --work /tmp/mutants

The sample is drawn from the source and a seed alone, before any test is looked at: `--each`
mutants of every room, operators in turn, places at random; rooms in turn, so that any first part
of it (`--first`) is stratified too. A mutant is tried in a copy of what is committed, against the
tests of its room; one that survives in a process where it took the place of living code is tried
once more with all imported anew. It is noticed if a test fails or crashes; one whose tests do not
end in their time is not. Outcomes are lines of JSON in the folder of `--work`.
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
from mutated.chosen import files_of, room, tests_of
from mutated.operators import Mutant, is_python, mutants_of
from mutated.swapped import Loop

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src/scalebed"


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


def copy_of(work: Path, part: str) -> Path:
    """Return a copy of what is committed, made or renewed."""
    tree = work / f"tree-{part}"
    if not tree.exists():
        subprocess.run(["git", "clone", "-q", REPOSITORY, tree], check=True)
    subprocess.run(["git", "-C", tree, "fetch", "-q", "origin", "HEAD"], check=True)
    subprocess.run(["git", "-C", tree, "reset", "-q", "--hard", "FETCH_HEAD"], check=True)
    subprocess.run(["python", "-m", "compileall", "-q", tree / "src"], check=True)
    return tree


def results(work: Path) -> dict[str, dict]:
    """Return the last outcome of each mutant tried."""
    lines = [json.loads(line) for file in work.glob("out-*.jsonl") for line in file.open()]
    return {line["key"]: line for line in sorted(lines, key=lambda line: line["at"])}


def go_on(options: argparse.Namespace) -> None:
    """Try the mutants that were not tried yet, or those again that nothing noticed."""
    number, parts = map(int, options.part.split("of"))
    known = results(options.work)
    missed = {key for key, line in known.items() if not line["noticed"]}
    rooms: dict[str, list[Mutant]] = {}
    for mutant in sample(options.each, options.seed)[: options.first]:
        wanted = mutant.key in missed if options.what == "again" else mutant.key not in known
        chosen = not options.only or any(word in mutant.key for word in options.only)
        if wanted and chosen:
            rooms.setdefault(room(mutant.path), []).append(mutant)
    for name in sorted(rooms)[number - 1 :: parts]:
        _try_room(name, rooms[name], options)


def _try_room(name: str, mutants: list[Mutant], options: argparse.Namespace) -> None:
    tree = copy_of(options.work, options.part)
    package = tree / "src/scalebed"

    def answer(mutant: Mutant, outcome: forked.Outcome | None) -> None:
        if outcome is None:
            with forked.changed(package / mutant.path, mutant):
                outcome = forked.run(tree, tests_of(mutant, tree), options.seconds)
        old = (PACKAGE / mutant.path).read_bytes()[mutant.start : mutant.end].decode()
        line = {"key": mutant.key, "at": time.time(), "room": name, "old": old}
        line |= mutant._asdict() | outcome._asdict()
        with (options.work / f"out-{options.part}.jsonl").open("a") as out:
            out.write(json.dumps(line) + "\n")

    def later(mutant: Mutant, outcome: forked.Outcome | None) -> None:
        if outcome is None:
            os.write(write, f"{mutant.key}\n".encode())
        else:
            answer(mutant, outcome)

    read, write = os.pipe()
    loop = Loop(package, mutants, options.seconds, later)
    forked.in_loop(tree, files_of(name, tree), loop)
    os.close(write)
    with os.fdopen(read) as pipe:
        left = set(pipe.read().splitlines())
    for mutant in mutants:
        if mutant.key in left:
            answer(mutant, None)


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
            print(" ".join(said.split()), f"({line['by']})")


def main() -> None:
    """Read the command line."""
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("what", choices=["run", "again", "score"])
    words.add_argument("--work", type=Path, required=True, help="folder for copies and outcomes")
    words.add_argument("--each", type=int, default=18, help="mutants of each room")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--first", type=int, help="only so many mutants of the sample")
    words.add_argument("--seconds", type=int, default=300, help="of processor time at most")
    words.add_argument("--part", default="1of1", help="of runs beside each other, as 1of2")
    words.add_argument("--only", nargs="*", help="words in the names of mutants")
    options = words.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    forked.warm()
    {"run": go_on, "again": go_on, "score": score}[options.what](options)


if __name__ == "__main__":
    main()
