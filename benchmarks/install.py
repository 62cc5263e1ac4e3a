"""What the package without extras takes: to install, on disk, to start, to fit a table.

    python benchmarks/install.py dist/scalebed-*.whl [--runs 3]

The wheel goes into an empty environment, again and again; pip has its cache after the first time.
"""

import argparse
import os
import resource
import subprocess
import tempfile
import time
import venv
from pathlib import Path


def timed(*words: object, folder: Path) -> tuple[float, float]:
    """Run a command; return the seconds it took on the clock and on processors."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [*map(str, words)], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, used


def megabytes(folder: Path) -> float:
    """Return how much the files below a folder hold."""
    files = [folder] if folder.is_file() else folder.rglob("*")
    return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def write_table(path: Path) -> None:
    """Write runs of one data set: five sizes, three ratios."""
    rows = ["params,tokens,loss"]
    for N in (1e6, 2e6, 4e6, 8e6, 16e6):
        for M in (5, 20, 80):
            rows.append(f"{N:.0f},{M * N:.0f},{1.7 + 400 * N**-0.34 + 410 * (M * N) ** -0.28:.6f}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def say(what: str, *times: tuple[float, float]) -> None:
    """Print the smallest of several times."""
    wall, used = (min(column) for column in zip(*times, strict=True))
    print(f"{what:34} {wall:7.2f} s, of processors {used:6.2f} s", flush=True)


def main() -> None:
    """Install, measure, say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--runs", type=int, default=3, help="repetitions, of which the best counts")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for run in range(args.runs):
            environment = folder / f"environment-{run}"
            venv.create(environment, with_pip=True)
            (packages,) = environment.glob("lib/python3*/site-packages")
            before = megabytes(packages)
            pip = (environment / "bin" / "pip", "--disable-pip-version-check", "install", "-q")
            say(f"pip install, time {run + 1}", timed(*pip, args.wheel.resolve(), folder=folder))
        print(f"site-packages, pip left out        {megabytes(packages) - before:7.1f} MB")
        sizes = sorted(((megabytes(path), path.name) for path in packages.iterdir()), reverse=True)
        print(", ".join(f"{name} {size:.0f}" for size, name in sizes[:12] if name != "pip"))
        write_table(folder / "runs.csv")
        python, scalebed = environment / "bin" / "python", environment / "bin" / "scalebed"
        fit = (scalebed, "fit", "runs.csv", "--target", "params=64e6,tokens=1.28e9")
        say("scalebed fit, the first time", timed(*fit, folder=folder))
        for what, words in {
            "python -c pass": (python, "-c", "pass"),
            "python -c 'import scalebed'": (python, "-c", "import scalebed"),
            "scalebed --version": (scalebed, "--version"),
            "scalebed fit, later": fit,
        }.items():
            say(what, *(timed(*words, folder=folder) for _ in range(args.runs)))


if __name__ == "__main__":
    main()
