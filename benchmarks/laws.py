"""Speed of the fits against the usual ways, and against what the arithmetic of the machine allows.

Every job is run beside its peers in one process, on the same resample indices, repeats of all
candidates interleaved; medians are compared. Peers do a part of the resamples and are scaled up,
since all of them would take minutes to hours. Times are CPU seconds of one thread unless "wall" is
said. lmfit and the PyPI package chinchilla are optional: `pip install lmfit chinchilla`.

Run: python benchmarks/laws.py [--repeats 5] [--out laws.json]
"""

# ruff: noqa: E402
import os

for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA"):
    os.environ[f"{name}_NUM_THREADS"] = "1"

import argparse
import importlib.util
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import curve_fit, least_squares, minimize

from scalebed.fit import fit_law
from scalebed.fit.solvers import profiled
from scalebed.fit.solvers.kernels import powers
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array
from scalebed.predict.scatter import stream

DELTA = 1e-3
TRUTH = np.array([1.8172, 482.01, 2085.43, 0.3478, 0.3658])
TIED_TRUTH = np.array([1.84, 166.0, 287.0, 0.273])
PARAMS = np.array([1.06e7, 7.9e7, 1.54e8, 4.12e8, 1.06e7])
TOKENS = PARAMS * np.array([20, 20, 20, 20, 320])
WEIGHTS = (1e2, 3e2, 1e3, 3e3)
STARTS = list(itertools.product(WEIGHTS, WEIGHTS, (0.1, 0.3), (0.0, 1.0, 2.0, 10.0)))
CHINCHILLA, TIED, DECAY = get_law("chinchilla"), get_law("tied"), get_law("decay")
Rows = list[dict[str, Any]]


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    start = clock()
    work()
    return clock() - start


def medians(jobs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median time of each job; the repeats of all jobs are interleaved."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            times[name].append(seconds(job))
    return {name: statistics.median(values) for name, values in times.items()}


def cloud(n: int, seed: int = 0) -> tuple[tuple[Array, Array], Array]:
    """Draw runs like Hoffmann's: N of 44M to 16B, C of 6e18 to 3e21, scatter of about 1 %."""
    rng = np.random.default_rng(seed)
    params = np.exp(rng.uniform(np.log(44e6), np.log(16e9), 4 * n))
    flops = np.exp(rng.uniform(np.log(6e18), np.log(3e21), 4 * n))
    tokens = flops / (6 * params)
    kept = np.flatnonzero((tokens / params > 0.5) & (tokens / params < 2000))[:n]
    x = (params[kept], tokens[kept])
    return x, CHINCHILLA.value(TRUTH, x) * np.exp(0.008 * rng.standard_t(5, n))


def counts_of(indices: Array, n: int) -> Array:
    return np.stack([np.bincount(row, minlength=n) for row in indices]).astype(float)


def huber(theta: Array, x: tuple[Array, ...], y: Array) -> float:
    size = np.abs(np.log(CHINCHILLA.value(theta, x)) - np.log(y))
    return float(np.where(size <= DELTA, size**2 / 2, DELTA * (size - DELTA / 2)).sum())


def limit(points: float) -> tuple[float, str]:
    """Seconds that two exp, one log and 75 flops a point take at the machine's measured rates."""
    x = np.random.default_rng(0).uniform(0.5, 2.0, 4096)
    out, a = np.empty_like(x), np.random.default_rng(1).normal(size=(512, 512))

    def repeat(work: Callable[[], object], times: int) -> float:
        return min(seconds(lambda: [work() for _ in range(times)]) / times for _ in range(9))

    exp = repeat(lambda: np.exp(x, out=out), 500) / x.size
    log = repeat(lambda: np.log(x, out=out), 500) / x.size
    flop = repeat(lambda: a @ a, 5) / (2 * 512**3)
    each = 2 * exp + log + 75 * flop
    text = (
        f"exp {exp * 1e9:.2f} ns, log {log * 1e9:.2f} ns, {1e-9 / flop:.0f} Gflop/s: "
        f"{each * 1e9:.2f} ns a point, {points / 1e6:.2f} M points evaluated"
    )
    return points * each, text


def huber_peer(x: tuple[Array, ...], y: Array, start: Array, exact: bool = False) -> Array:
    """Scipy's trust region with its own Huber loss, warm-started, default tolerances."""
    logs = np.log(y)
    n, d = np.log(x[0]), np.log(x[1])

    def residuals(z: Array) -> Array:
        terms = np.logaddexp(np.logaddexp(z[1] - z[3] * n, z[2] - z[4] * d), z[0])
        return terms - logs

    def jacobian(z: Array) -> Array:
        columns = np.stack([np.full(n.size, z[0]), z[1] - z[3] * n, z[2] - z[4] * d])
        top = columns.max(0)
        share = np.exp(columns - top)
        share /= share.sum(0)
        return np.stack([share[0], share[1], share[2], -share[1] * n, -share[2] * d], axis=1)

    z = np.concatenate([np.log(start[:3]), start[3:]])
    found = least_squares(
        residuals, z, jacobian if exact else "2-point", loss="huber", f_scale=DELTA, x_scale="jac"
    )
    return np.concatenate([np.exp(found.x[:3]), found.x[3:]])


def lmfit_peer(x: tuple[Array, ...], y: Array, start: Array) -> Array:
    """Fit the way lmfit does: named parameters with bounds, residuals whose squares are Huber's."""
    import lmfit

    names = [parameter.name for parameter in CHINCHILLA.parameters]
    parameters = lmfit.Parameters()
    for key, value in zip(names, start, strict=True):
        parameters.add(key, value=value, min=0)

    def residuals(p: Any) -> Array:
        rest = np.log(CHINCHILLA.value(np.array([p[key].value for key in names]), x)) - np.log(y)
        size = np.minimum(np.abs(rest), DELTA)
        return np.sign(rest) * np.sqrt(size * (2 * np.abs(rest) - size))

    found = lmfit.minimize(residuals, parameters)
    return np.array([found.params[key].value for key in names])


def chinchilla_peer() -> Callable[[tuple[Array, ...], Array, Array], Array] | None:
    """PyPI chinchilla from one start: BFGS, numeric gradients, long doubles, its own log-Huber.

    Its `fit` does this from every node of a grid; here one start, the fit of all points, is enough.
    """
    try:
        from chinchilla import Chinchilla
        from chinchilla._metrics import log_huber
    except ImportError as error:
        print(f"PyPI chinchilla is not installed ({error}): skipped")
        return None
    keys = ("E", "a", "b", "alpha", "beta")
    folder = tempfile.mkdtemp()
    fitter = Chinchilla(
        folder,
        param_grid=dict.fromkeys(keys, (1.0,)),
        loss_fn=lambda true, fitted: log_huber(true, fitted, DELTA),
        log_level=50,
    )
    fitter._autoscale_range = np.ones(5)

    def fit(x: tuple[Array, ...], y: Array, start: Array) -> Array:
        long = [np.asarray(column, np.longdouble) for column in (*x, y)]
        fitter._const = {
            "log_N": np.log(long[0]), "log_D": np.log(long[1]), "y_true": long[2], "weights": None,
        }  # fmt: skip
        first = np.concatenate([start[:1], np.log(start[1:3]), start[3:]])
        found = minimize(fitter._evaluate_params, first, method=fitter.algorithm).x
        return np.concatenate([found[:1], np.exp(found[1:3]), found[3:]])

    return fit


def huber_row(repeats: int, resamples: int, peers: int) -> Rows:
    n = 240
    x, y = cloud(n)
    indices = np.random.default_rng(1).integers(0, n, (resamples, n))
    counts = counts_of(indices, n)
    full = powers.fit(CHINCHILLA, x, y, TRUTH, "huber_log", DELTA)
    start = full.theta[0]

    def ours() -> powers.Fits:
        return powers.fit(CHINCHILLA, x, y, start, "huber_log", DELTA, counts)

    def samples() -> list[tuple[tuple[Array, ...], Array]]:
        return [(tuple(c[i] for c in x), y[i]) for i in indices[:peers]]

    def loop(peer: Callable[..., Array]) -> list[Array]:
        return [peer(*sample, start) for sample in samples()]

    others: dict[str, Callable[..., Array]] = {
        "scipy least_squares": huber_peer,
        "scipy least_squares, exact Jacobian": lambda *a: huber_peer(*a, exact=True),
    }
    if importlib.util.find_spec("lmfit") is None:
        print("lmfit is not installed: skipped")
    else:
        others["lmfit"] = lmfit_peer
    theirs = chinchilla_peer()
    if theirs is not None:
        others["PyPI chinchilla, one start"] = theirs
    jobs: dict[str, Callable[[], object]] = {"ours": ours}
    for name, peer in others.items():
        jobs[name] = lambda peer=peer: loop(peer)
    times = medians(jobs, repeats)
    found = ours()
    best = [huber(theta, *sample) for theta, sample in zip(found.theta, samples(), strict=False)]
    each = {name: value / (resamples if name == "ours" else peers) for name, value in times.items()}
    rows: Rows = []
    for name, peer in others.items():
        reached = [huber(theta, *s) for theta, s in zip(loop(peer), samples(), strict=True)]
        worst = float(np.max(np.array(best) / reached - 1))
        rows.append(
            {
                "job": f"Huber-log Chinchilla, {n} points, {resamples} resamples",
                "seconds": times["ours"],
                "peer": name,
                "peer_seconds": each[name] * resamples,
                "ratio": each[name] / each["ours"],
                "goal": ">= 200x" if name == "scipy least_squares" else "stated",
                "objective_excess": worst,
            }
        )
    # The evaluation that judges the fit counts too.
    distinct = (counts > 0).sum(1)
    least, text = limit(float(((found.iterations + 1) * distinct).sum()))
    print(f"limit of the arithmetic: {text}")
    rows.append(
        {
            "job": "the same against the limit of the arithmetic",
            "seconds": times["ours"],
            "peer": "limit",
            "peer_seconds": least,
            "ratio": times["ours"] / least,
            "goal": "<= 4x",
            "gradient": float(found.gradient.max()),
        }
    )
    return rows


def curve(_: Array, size: float, data: float, alpha: float, floor: float) -> Array:
    return floor + size * PARAMS**-alpha + data * TOKENS**-alpha


def tied_peer(samples: Array) -> list[float]:
    """Residual sum of squares of the best of 128 starts for every row."""
    best = []
    for y in samples:
        found = []
        for start in STARTS:
            theta, _ = curve_fit(curve, PARAMS, y, start, maxfev=10_000)
            inside = theta.min() >= 0
            found.append(float(np.sum((curve(PARAMS, *theta) - y) ** 2)) if inside else np.inf)
        best.append(min(found))
    return best


def tied_row(repeats: int, resamples: int, peers: int) -> Rows:
    x = (PARAMS, TOKENS)
    noise = np.random.default_rng(2).standard_normal((resamples, 5))
    samples = TIED.value(TIED_TRUTH, x) * np.exp(0.003 * noise)
    theirs: list[float] = []

    def peer() -> None:
        theirs[:] = tied_peer(samples[:peers])

    times = medians({"ours": lambda: profiled.refit(TIED, x, samples), "peer": peer}, repeats)
    found = profiled.refit(TIED, x, samples)
    slack = 1e-14 * np.sum(samples[:peers] ** 2, 1) * np.sqrt(found.rss[:peers])
    worst = float(np.max((found.rss[:peers] - slack) / np.array(theirs) - 1))
    total = times["peer"] / peers * resamples
    return [
        {
            "job": f"tied law, 5 points, {resamples} resamples",
            "seconds": times["ours"],
            "peer": "128-start curve_fit",
            "peer_seconds": total,
            "ratio": total / times["ours"],
            "goal": ">= 10,000x",
            "objective_excess": worst,
        }
    ]


def whole_job(draws: int, sets: int = 3, tasks: int = 48) -> None:
    """Draws as in `scalebed.predict.bootstrap`: one sigma a draw, noise, both laws refitted."""
    points = (PARAMS, TOKENS)
    losses = np.array([5.4, 4.6, 3.9, 3.4, 3.1, 2.7])
    target = (np.array([1.4e9, 6.9e9]), np.array([9e11, 1.38e11]))
    domain = DECAY.domain((losses,))
    truth = np.array([0.9, 2.0, 0.6])
    for number in range(sets):
        name = str(number)
        rng = stream(0, "loss", name)
        scale = 0.005 * np.sqrt(20 / rng.chisquare(20, draws))[:, None]
        factors = np.clip(1 + scale * rng.standard_normal((draws, 6)), 0.5, 2.0)
        rows = TIED.value(TIED_TRUTH, points) * factors[:, :5]
        fitted = profiled.refit(TIED, points, rows)
        means = TIED.predict(fitted.theta, target)
        predicted = means * np.clip(1 + scale * rng.standard_normal(means.shape), 0.5, 2.0)
        drawn = losses * factors
        curve_of = DECAY.value(truth, (drawn,))
        errors = np.empty((tasks, draws, 6))
        noise = []
        for task in range(tasks):
            rng = stream(0, "error", name, str(task))
            scale = 0.01 * np.sqrt(20 / rng.chisquare(20, draws))[:, None]
            rng.standard_normal(out=errors[task])
            np.multiply(errors[task], scale, out=errors[task])
            errors[task] += curve_of
            np.clip(errors[task], 0, 1, out=errors[task])
            noise.append(scale * rng.standard_normal(means.shape))
        laws = profiled.refit(DECAY, (drawn,), errors, domain)
        for theta, rest in zip(laws.theta, noise, strict=True):
            np.clip(DECAY.predict(theta, (predicted,)) + rest, 0.0, 1.0)


def job_row(repeats: int, draws: int) -> Rows:
    walls, used = [], []
    for _ in range(repeats):
        start = time.process_time()
        walls.append(seconds(lambda: whole_job(draws), time.perf_counter))
        used.append(time.process_time() - start)
    return [
        {
            "job": f"3 data sets x (1 loss law + 48 error laws) x {draws} draws",
            "seconds": statistics.median(walls),
            "peer": f"wall, {statistics.median(used):.2f} s of CPU",
            "goal": "<= 1 s",
        }
    ]


def large_row(points: int, resamples: int) -> Rows:
    x, y = cloud(points)
    start = powers.fit(CHINCHILLA, x, y, TRUTH, "huber_log", DELTA).theta[0]
    seeds = stream(0, "cases").integers(2**63, size=resamples, dtype=np.uint64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found: list[powers.Fits] = []

    def work() -> None:
        found.append(powers.fit_cases(CHINCHILLA, x, y, start, seeds, "huber_log", DELTA))

    wall = seconds(work, time.perf_counter)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    return [
        {
            "job": f"{points} runs x {resamples} resamples, Huber-log Chinchilla",
            "seconds": wall,
            "peer": f"wall, memory grown by {grown:.0f} MiB",
            "goal": "<= 60 s",
            "gradient": float(found[0].gradient.max()),
        }
    ]


_FIRST = """
import time
start = time.perf_counter()
import numpy as np
from scalebed.fit.solvers import profiled
from scalebed.fit.solvers.kernels import powers
from scalebed.laws import get_law
loaded = time.perf_counter()
x = (np.array([1e7, 8e7, 2e8, 4e8, 1e7, 3e7]), np.array([2e8, 2e9, 3e9, 8e9, 3e9, 9e9]))
law = get_law("chinchilla")
theta = np.array([1.8, 480.0, 2000.0, 0.35, 0.36])
y = law.value(theta, x)
powers.fit(law, x, y, theta, "huber_log", weights=np.ones((2, 6)))
powers.fit_cases(law, x, y, theta, np.arange(2, dtype=np.uint64))
profiled.refit(get_law("tied"), x, y[None])
profiled.refit(get_law("decay"), (np.linspace(2, 4, 6),), np.linspace(0.4, 0.6, 6)[None])
print(loaded - start, time.perf_counter() - loaded)
"""
_IMPORT = """
import sys, time
start = time.perf_counter()
import scalebed.laws
print(time.perf_counter() - start)
print([m for m in ("torch", "snakemake", "numba", "scipy", "pandas") if m in sys.modules])
"""


def start_rows(repeats: int) -> Rows:
    """First call with an empty cache, with a cache, and import of the laws, in new processes."""

    def run(code: str, cache: str) -> list[str]:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        words = [sys.executable, "-c", code]
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
        return done.stdout.split("\n")

    rows: Rows = []
    with tempfile.TemporaryDirectory() as cache:
        for name in ("first call of all kernels, nothing compiled", "the same, compiled before"):
            load, call = map(float, run(_FIRST, cache)[0].split())
            peer = f"wall; importing numba and the kernels {load:.2f} s more"
            rows.append({"job": name, "seconds": call, "peer": peer, "goal": "stated"})
        imports = [run(_IMPORT, cache) for _ in range(repeats)]
    wall = statistics.median(float(lines[0]) for lines in imports)
    peer = f"wall; unwanted modules loaded: {imports[0][1]}"
    rows.append({"job": "import scalebed.laws", "seconds": wall, "peer": peer, "goal": "<= 0.3 s"})
    return rows


def single_row(repeats: int) -> Rows:
    """One global fit of 240 points by `fit_law`, certificate included."""
    x, y = cloud(240)
    from scalebed.fit import Options

    options = Options(objective="huber_log", delta=DELTA)
    times = medians({"ours": lambda: fit_law(CHINCHILLA, x, y, options)}, repeats)
    job = "one global Huber-log fit with its certificate"
    return [{"job": job, "seconds": times["ours"], "peer": "", "goal": "stated"}]


def show(rows: Rows) -> None:
    for row in rows:
        taken = f"{row['seconds'] * 1e3:10.1f} ms"
        ratio = f"{row['ratio']:9.1f}x" if "ratio" in row else " " * 10
        extra = f"{row['peer_seconds']:.4g} s" if "peer_seconds" in row else ""
        if "objective_excess" in row:
            extra += f", objective / peer - 1 at most {row['objective_excess']:.1e}"
        if "gradient" in row:
            extra += f", gradient at most {row['gradient']:.1e}"
        print(f"{row['job']:58}{taken}{ratio}  goal {row['goal']:10} {row['peer']} {extra}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=4000)
    parser.add_argument("--peer", type=int, default=40, help="resamples the slow peers do")
    parser.add_argument("--large", type=int, default=100_000, help="runs of the large table")
    parser.add_argument("--out", type=Path, help="also write the rows as JSON")
    args = parser.parse_args()
    whole_job(10, 2)
    rows = huber_row(args.repeats, args.resamples, args.peer)
    rows += tied_row(args.repeats, args.resamples, max(args.peer // 10, 2))
    rows += job_row(args.repeats, args.resamples)
    rows += large_row(args.large, 1000)
    rows += single_row(args.repeats)
    rows += start_rows(args.repeats)
    show(rows)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
