"""The Multi-Power Law on its public curves: the printed means over the six it was not fitted to."""

import os
from pathlib import Path

import numpy as np
import pytest

from scalebed.watch.multi_power import Constants, Reference, Schedule, loss_at, scores
from scalebed.watch.schedules import read_reference

ZOO = Path(os.environ.get("SCALEBED_ZOO", Path(__file__).resolve().parents[3] / "shared" / "zoo"))
CURVES = ZOO / "multipower"
PEAK, END, WARMUP = 3e-4, 3e-5, 2160
LAWS = {
    "25m": Constants(
        3.04045406, 0.52468604, 0.50786857, 363.78751622, 2.06560812, 0.58279013, 0.64142257
    ),
    "100m": Constants(
        2.6514477, 0.60115152, 0.45295811, 437.9464276, 2.13245612, 0.59785199, 0.65523644
    ),
}
PRINTED = {
    "25m": {"R2": 0.9988, "MAE": 0.00376, "RMSE": 0.00465, "PredE": 0.00110, "WorstE": 0.00409},
    "100m": {"R2": 0.9983, "MAE": 0.00435, "RMSE": 0.00592, "PredE": 0.00142, "WorstE": 0.00583},
}
DIGITS = {"R2": 4, "MAE": 5, "RMSE": 5, "PredE": 5, "WorstE": 5}
NAMES = (
    *("constant_72000", "cosine_72000", "wsd_20000_24000", "wsdld_20000_24000"),
    *("wsdcon_3", "wsdcon_18"),
)

pytestmark = pytest.mark.skipif(
    not CURVES.is_dir(), reason=f"no {CURVES}: SCALEBED_ZOO names the folder of public tables"
)


def schedule(name: str) -> Schedule:
    """The schedule that was planned: warm-up from 0, then what the name says."""
    kind, *numbers = name.split("_")
    rise = np.linspace(0, PEAK, WARMUP)
    if kind == "wsdcon":
        stages = [np.full(8000 - WARMUP, PEAK), np.full(8000, int(numbers[0]) * 1e-5)]
        return Schedule(np.concatenate([rise, *stages]))
    total = int(numbers[-1])
    start = int(numbers[0]) if kind.startswith("wsd") else WARMUP
    part = np.arange(total - start) / (total - start)
    falls = {
        "constant": np.full(part.size, PEAK),
        "cosine": END + (PEAK - END) / 2 * (1 + np.cos(np.pi * part)),
        "wsd": PEAK ** (1 - part) * END**part,
        "wsdld": PEAK * (1 - part) + END * part,
    }
    return Schedule(np.concatenate([rise, np.full(start - WARMUP, PEAK), falls[kind]]))


def curve(size: str, name: str) -> Reference:
    """A public curve; what was logged when the planned steps were over is left out."""
    found = read_reference(CURVES / size / f"{name}.csv", WARMUP)
    planned = schedule(name)
    used = found.steps < planned.rates.size
    return Reference(name, planned, found.steps[used], found.loss[used])


@pytest.mark.parametrize("size", LAWS)
def test_published_constants_give_the_printed_figures(size: str) -> None:
    curves = [curve(size, name) for name in NAMES]
    found = [scores(one.loss, loss_at(LAWS[size], one.schedule, one.steps)) for one in curves]
    for key, printed in PRINTED[size].items():
        mean = float(np.mean([row[key] for row in found]))
        assert round(mean, DIGITS[key]) == pytest.approx(printed, abs=1e-9), key


@pytest.mark.parametrize("size", LAWS)
def test_rates_from_the_rows_of_a_curve_do_as_well_as_the_plan(size: str) -> None:
    for name in NAMES:
        planned = curve(size, name)
        rows = read_reference(CURVES / size / f"{name}.csv", WARMUP)
        law, steps = LAWS[size], planned.steps
        apart = loss_at(law, rows.schedule, steps) - loss_at(law, planned.schedule, steps)
        # Where the rate jumps between two rows, its step is known to within 128.
        assert np.abs(apart).max() < 5e-3
