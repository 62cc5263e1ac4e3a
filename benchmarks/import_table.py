"""Time of `scalebed fit` on a table of a million runs, in a process of its own.

Run: python benchmarks/import_table.py [--rows 1000000] [--suffix csv] [--repeats 3]
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

TRUTH = {"E": 1.84, "A": 166.0, "B": 287.0, "alpha": 0.273}


def write(path: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    params = 10 ** rng.uniform(7, 9, rows)
    tokens = params * 10 ** rng.uniform(0.7, 2.8, rows)
    loss = TRUTH["E"] + TRUTH["A"] * params ** -TRUTH["alpha"]
    loss += TRUTH["B"] * tokens ** -TRUTH["alpha"]
    loss *= 1 + 0.01 * rng.standard_normal(rows)
    error = 0.85 - 2.5 * np.exp(-0.6 * loss) + 0.005 * rng.standard_normal(rows)
    frame = pd.DataFrame({"params": params, "tokens": tokens, "loss": loss, "error": error})
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--suffix", choices=["csv", "parquet"], default="csv")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / f"runs.{args.suffix}", Path(folder) / "fit.json"
        write(path, args.rows)
        words = [sys.executable, "-m", "scalebed", "fit", str(path), "--out", str(out)]
        words += ["--target", "params=7e9,tokens=140e9"]
        times = []
        for _ in range(args.repeats):
            start = time.perf_counter()
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - start)
        found = json.loads(out.read_text())["fits"][0]["parameters"]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"{args.rows} rows, {args.suffix}: {statistics.median(times):.2f} s, {peak:.2f} GiB")
    for name, truth in TRUTH.items():
        print(f"  {name:6} {found[name]['value']:10.4f}, true {truth}")


if __name__ == "__main__":
    main()
