"""Bootstrap of the tied law against the usual way of fitting it.

The peer is a loop over resamples, each fitted by `scipy.optimize.curve_fit` from 128 starts (the
grid the paper's authors use), the best kept. Both see the same resamples in the same process; the
peer does a few and is scaled up, since all of them would take minutes. Times are CPU seconds.

Run: python benchmarks/laws.py [--resamples 4000] [--peer 12] [--repeats 5]
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import curve_fit

from scalebed.fit import fit_law, refit
from scalebed.laws import get_law
from scalebed.laws.base import Array

PARAMS = np.array([1.06e7, 7.9e7, 1.54e8, 4.12e8, 1.06e7])
TOKENS = PARAMS * np.array([20, 20, 20, 20, 320])
TRUTH = np.array([1.84, 166.0, 287.0, 0.273])
WEIGHTS = (1e2, 3e2, 1e3, 3e3)
STARTS = list(itertools.product(WEIGHTS, WEIGHTS, (0.1, 0.3), (0.0, 1.0, 2.0, 10.0)))


def curve(_: Array, size: float, data: float, alpha: float, floor: float) -> Array:
    return floor + size * PARAMS**-alpha + data * TOKENS**-alpha


def peer(samples: Array) -> list[float]:
    """Residual sum of squares of the best of 128 starts for every row."""
    best = []
    for y in samples:
        found = []
        for start in STARTS:
            theta, _ = curve_fit(curve, PARAMS, y, start, maxfev=10_000)
            found.append(float(np.sum((curve(PARAMS, *theta) - y) ** 2)))
        best.append(min(found))
    return best


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resamples", type=int, default=4000)
    parser.add_argument("--peer", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    law = get_law("tied")
    x = (PARAMS, TOKENS)
    rng = np.random.default_rng(0)
    noise = 1 + 0.01 * rng.standard_normal((args.resamples, PARAMS.size))
    samples = law.predict(TRUTH, x) * noise
    theirs, times = peer(samples[: args.peer]), []
    ours = refit(law, x, samples).rss[: args.peer]
    for _ in range(args.repeats):
        own = seconds(lambda: refit(law, x, samples))
        other = seconds(lambda: peer(samples[: args.peer])) * args.resamples / args.peer
        times.append((own, other, other / own))
    own, other, ratio = (statistics.median(column) for column in zip(*times, strict=True))
    worst = float(np.max(ours / np.array(theirs) - 1))
    single = seconds(lambda: [fit_law(law, x, y) for y in samples[:100]]) / 100
    print(f"tied law, {PARAMS.size} points, {args.resamples} resamples, {args.repeats} repeats")
    print(f"  scalebed, global optimum     {own:10.4f} s")
    print(f"  curve_fit, {len(STARTS)} starts        {other:10.1f} s (scaled from {args.peer})")
    print(f"  ratio                        {ratio:10.0f}")
    print(f"  objective, worst relative    {worst:+10.1e} (negative: ours is lower)")
    print(f"  one fit with certificate     {1e3 * single:10.2f} ms")


if __name__ == "__main__":
    main()
