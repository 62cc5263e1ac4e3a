"""What figures and report show beside the laws: explorations and their arithmetic."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit

from scalebed.checks.explore import options as explorations
from scalebed.checks.explore import search_funnel, search_laws
from scalebed.checks.explore.constant_ratio import fit_ray, log_slope, ray_intervals
from scalebed.checks.explore.random_designs import beaten, draws, fit_designs, windows
from scalebed.checks.explore.registry import explore
from scalebed.checks.explore.task_threshold import best_gain, sweep
from scalebed.core.errors import ScalebedError
from scalebed.laws import get_law
from scalebed.report.figures.registry import get_figure

LAW = np.array([1.9, 60.0, 140.0, 0.27])


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("subset_design", {}, "no exploration is called 'subset_design', expected one of"),
        ("search_funnel", {"color": "steps"}, "unknown option 'color'; there is draws, seed"),
        ("search_funnel", {"seed": 0.5}, "option 'seed' is 0.5, expected a value like 0"),
    ],
)
def test_a_bad_exploration_is_one_sentence(tmp_path, name, given, told):
    with pytest.raises(ScalebedError, match=re.escape(told)):
        explore(name, given, tmp_path / "study.duckdb", tmp_path / "x.parquet")


def test_options_of_appearance_explore_nothing_anew():
    given = {"seed": 3, "kinds": "loss", "width": 200}
    figures = {
        "fig14": {"plot": "subset_designs", "title": "T", "options": given},
        "tasks": {"plot": "task_panels", "title": None, "options": {}},
    }
    assert explorations.explorations(figures) == {
        "fig14": {"exploration": "subset_designs", "options": {"seed": 3}}
    }


def test_options_of_the_exploration_are_options_of_its_figure():
    for name, options in explorations.OPTIONS.items():
        if name != explorations.SEARCH_LAWS:
            assert options.items() <= get_figure(name).OPTIONS.items()


def test_rays_find_the_exponent_of_a_power_law():
    flops = np.geomspace(1e15, 1e20, 5)
    loss = 1.7 + 300.0 * flops**-0.13
    assert log_slope(flops, loss, 1.7)[0] == pytest.approx(0.13, abs=1e-9)
    free = fit_ray(flops, loss)
    assert (free.eta[0], free.floor[0]) == pytest.approx((0.13, 1.7), rel=1e-5)
    assert free.scale[0] == pytest.approx(300.0, rel=1e-4)
    assert ray_intervals(flops, loss, 1.7, 50, 0) == pytest.approx((0.13, 0.13), abs=1e-9)
    assert np.isnan(log_slope(flops[:1], loss[:1], 1.7)[0])
    assert np.isnan(log_slope(flops, loss, 3.0)[0])


def test_the_interval_of_a_ray_cuts_off_the_same_share_on_both_sides():
    """Log C of 0, 1, 2 and log(L - E) of 0, -1, -3.

    Of 24 samples with two or three of the cells, 6 have a slope of 1, 12 of 1.5 and 6 of 2.
    """
    flops, loss = np.exp([0.0, 1.0, 2.0]), 1.7 + np.exp([0.0, -1.0, -3.0])
    assert ray_intervals(flops, loss, 1.7, 500, 0, 0.8) == pytest.approx((1.0, 2.0))
    assert ray_intervals(flops, loss, 1.7, 500, 0, 0.2) == pytest.approx((1.5, 1.5))


def test_a_threshold_keeps_the_tasks_that_beat_chance_by_more():
    loss = np.array([5.0, 4.5, 4.0, 3.5, 3.0])
    easy, hard = (0.9 - k * np.exp(-0.7 * loss) for k in (3.0, 1.0))
    gain = best_gain(np.array([[0.5, 0.7], [0.4, 0.8]]), np.array([0.75, 0.75]))
    assert gain == pytest.approx([0.35, 0.05])
    target = (2.0, np.array([0.9 - 3.0 * np.exp(-1.4), 0.5]))
    found = sweep(gain, [0.0, 0.05, 0.5], (loss, np.stack([easy, hard], 1)), target)
    assert [point.kept for point in found] == [2, 1, 0]
    assert found[1].relative_error == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(found[2].predicted)


def test_designs_of_exact_data_all_find_the_truth():
    size, ratio = (grid.ravel() for grid in np.meshgrid([1e6, 3e6, 1e7, 3e7], [20, 80, 320]))
    x = (size, size * ratio)
    law = get_law("tied")
    y = law.predict(LAW, x)
    rng = np.random.default_rng(0)
    designs = [*windows(12, 5, 5, rng), *draws(12, 6, 20, rng), np.array([0, 1, 2, 3, 3])]
    designs += [np.array([0, 1, 2, 3])]
    at = (3e8, 6e9)
    found = fit_designs(law, x, y, 6 * x[0] * x[1], designs, at)
    truth = law.predict(LAW, tuple(np.array([value]) for value in at))[0]
    assert found.refused >= 2 and found.points.size + found.refused == len(designs)
    assert found.predicted == pytest.approx(truth, rel=1e-4)
    first = designs[int(found.design[0])]
    assert found.flops[0] == pytest.approx((6 * x[0] * x[1])[first].sum())
    assert beaten(0.5, np.array([0.1, 0.9])) == 0.5


def test_windows_of_every_length_have_designs_of_the_cheapest_cells():
    """Windows of five to eight cells, three designs each; the first has no choice."""
    found = windows(8, 5, 3, np.random.default_rng(0))
    assert len(found) == 12
    assert [design.tolist() for design in found[:3]] == [[0, 1, 2, 3, 4]] * 3
    for number, design in enumerate(found):
        assert design.tolist() == sorted(set(design.tolist()))
        assert design.size >= 5 and design[-1] < 5 + number // 3


def test_the_band_of_a_funnel_has_the_middle_nine_tenths_of_fits_to_runs_drawn_again():
    flops = np.geomspace(1e15, 1e18, 7)
    loss = 1.5 + 300 * flops**-0.15 + np.random.default_rng(2).normal(0, 0.005, 7)
    study = SimpleNamespace(frame=lambda query: pd.DataFrame({"flops": flops, "loss": loss}))
    options = {"max_loss": 0, "reach": 1e20, "draws": 20, "seed": 3}
    found = pd.DataFrame(search_funnel.rows(study, options))

    def law(flops, floor, scale, eta):
        return floor + scale * (flops / 1e16) ** -eta

    def fitted(chosen):
        best, _ = curve_fit(law, flops[chosen], loss[chosen], (1.5, 1.2, 0.15))
        return [law(1e15, *best), law(1e20, *best)]

    index = np.random.default_rng(3).integers(0, 7, (20, 7)).tolist()
    drawn = [fitted(chosen) for chosen in index if len(set(chosen)) >= 4]
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    ends = found.iloc[[0, -1]]
    assert ends["flops"].tolist() == pytest.approx([1e15, 1e20])
    assert ends["fit"].tolist() == pytest.approx(fitted(np.arange(7)), rel=1e-5)
    assert ends["low"].tolist() == pytest.approx(low, rel=1e-5)
    assert ends["high"].tolist() == pytest.approx(high, rel=1e-5)


def test_the_laws_of_a_search_tell_why_there_is_none():
    flops = np.geomspace(1e15, 1e18, 8)
    frames = {
        "kept": pd.DataFrame({"flops": flops, "loss": 2 + 300 * flops**-0.15}),
        "chosen": pd.DataFrame({"flops": flops[:2], "loss": [4.0, 3.5]}),
    }
    study = SimpleNamespace(
        rows=lambda query: [{"size": "7b", "flops": 1e20}],
        frame=lambda query: next(frames[name] for name in frames if f"WHERE {name} " in query),
    )
    kept = [row for row in search_laws.rows(study, {}) if row["points_of"] == "kept"]
    found = {row["quantity"]: row["value"] for row in kept}
    assert found["loss of 7b"] == pytest.approx(2 + 300 * 1e20**-0.15, rel=1e-4)
    assert [row["place"] for row in kept] == [0, 1, 2, 3]
    (refused,) = (row for row in search_laws.rows(study, {}) if row["points_of"] == "chosen")
    assert refused["points"] == 2 and refused["refused"] and refused["value"] is None
    assert list(search_laws.rows(SimpleNamespace(rows=lambda query: []), {})) == []
