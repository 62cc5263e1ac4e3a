"""Further figures, which a study file asks for by name: what they show on an invented study."""

import re
from importlib import import_module
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import study_records as records
from test_figures import rows

from scalebed.checks.explore import options as explorations
from scalebed.checks.explore import search_funnel
from scalebed.checks.explore.constant_ratio import fit_ray, log_slope, ray_intervals
from scalebed.checks.explore.random_designs import beaten, draws, fit_designs, windows
from scalebed.checks.explore.registry import explore
from scalebed.checks.explore.task_threshold import best_gain, sweep
from scalebed.core.errors import ScalebedError
from scalebed.laws import get_law
from scalebed.report.figures import render
from scalebed.report.figures.registry import get_figure
from scalebed.report.figures.render import specification, to_svg
from scalebed.tables.arrow import write_rows
from scalebed.tables.reader import StudyDatabase

FURTHER = (
    "reducible_loss",
    "relative_error",
    "task_panels",
    "errors_by_validation",
    "exponent_by_ratio",
    "search_funnel",
    "inclusion_threshold",
    "subset_designs",
)
LAW = np.array([1.9, 60.0, 140.0, 0.27])


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("further")
    one = records.grid(("encyclopedia",), targets=False)
    return {
        "whole": records.write_study(folder / "whole"),
        "no targets": records.write_study(folder / "one", one),
        "one cell": records.write_study(folder / "cell", one[:1]),
        "all failed": records.write_study(
            folder / "none", records.grid(("mixture",)), bad_dataset="mixture"
        ),
    }


@pytest.fixture
def study(databases):
    with StudyDatabase(databases["whole"]) as study:
        yield study


def explored(study, folder, name, **options):
    """Return the file a figure draws beside the database; None if it draws none."""
    figures = {name: {"plot": name, "options": options}}
    for chosen in explorations.explorations(figures).values():
        path = folder / f"{name}.parquet"
        explore(chosen["exploration"], chosen["options"], study.path, path)
        return path
    return None


@pytest.mark.parametrize("kind", ["whole", "no targets", "one cell", "all failed"])
@pytest.mark.parametrize("name", FURTHER)
def test_every_further_figure_of_every_study_renders(databases, kind, name, tmp_path):
    module = import_module(f"scalebed.report.figures.{name}")
    with StudyDatabase(databases[kind]) as study:
        table = explored(study, tmp_path, name)
        drawn, again = (specification(get_figure(name), study, {}, table) for _ in range(2))
    assert drawn == again
    svg = ElementTree.fromstring(to_svg(drawn))
    texts = [node.text for node in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert any(text and text.startswith(module.TITLE) for text in texts)
    assert module.CAPTION.endswith(".")


def test_reducible_loss_is_the_loss_without_the_floor_of_the_cells_asked_for(study):
    spec = specification(
        get_figure("reducible_loss"), study, {"dataset": "mixture", "max_ratio": 40}
    )
    found = rows(spec, "cell")
    floor = study.rows(
        "SELECT value FROM fit_parameters WHERE parameter = 'E' AND fit = ?",
        [f"loss/tied/mixture/{records.YARDSTICK}"],
    )[0]["value"]
    assert {row["dataset"] for row in found} == {"mixture"}
    assert {row["M"] for row in found} == {10, 20, 40}
    for row in found:
        assert row["y"] == pytest.approx(row["loss"] - floor, rel=1e-4)
    assert [row["M"] for row in rows(spec, "prediction")] == [20]


def test_the_heat_map_takes_pairs_of_data_set_and_response(study):
    signed = rows(specification(get_figure("relative_error"), study, {"dataset": "mixture"}))
    absolute = rows(
        specification(get_figure("relative_error"), study, {"dataset": "mixture", "absolute": True})
    )
    errors = [[row.get("error") for row in found] for found in (signed, absolute)]
    assert [abs(e) for e in errors[0] if e is not None] == [e for e in errors[1] if e is not None]
    pairs = f"mixture:{records.YARDSTICK},encyclopedia:{records.YARDSTICK}"
    spec = specification(get_figure("relative_error"), study, {"response": pairs, "min_ratio": 20})
    panels = {row["panel"] for row in rows(spec)}
    assert panels == {f"{name} on {records.YARDSTICK}" for name in ("mixture", "encyclopedia")}
    assert min(row["M"] for row in rows(spec)) == 20


@pytest.mark.parametrize(
    ("figure", "params", "told"),
    [
        ("relative_error", {"response": "mixture:"}, "the part 'mixture:', expected the name"),
        ("errors_by_validation", {"validations": "prose"}, "no loss on 'prose' was measured"),
        ("search_funnel", {"draws": "many"}, "option 'draws' is 'many'"),
    ],
)
def test_a_bad_option_is_one_sentence(study, figure, params, told):
    with pytest.raises(ScalebedError, match=re.escape(told)):
        specification(get_figure(figure), study, params)


def test_a_figure_without_what_it_shows_says_which_verb_computes_it(study):
    with pytest.raises(ScalebedError, match="what `scalebed explore subset_designs` computes"):
        specification(get_figure("subset_designs"), study, {})


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("subset_design", {}, "no exploration is called 'subset_design', expected one of"),
        ("search_funnel", {"color": "steps"}, "unknown option 'color'; there is draws, seed"),
        ("search_funnel", {"seed": 0.5}, "option 'seed' is 0.5, expected a value like 0"),
    ],
)
def test_a_bad_exploration_is_one_sentence(study, tmp_path, name, given, told):
    with pytest.raises(ScalebedError, match=re.escape(told)):
        explore(name, given, study.path, tmp_path / "x.parquet")


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


def test_designs_are_ranked_beside_the_study(study, tmp_path):
    table = explored(study, tmp_path, "subset_designs", dataset="mixture", designs=40, seed=1)
    found = rows(specification(get_figure("subset_designs"), study, {"kinds": "loss"}, table))
    assert {row["what"] for row in found} == {"random", "study"}
    (heading,) = {row["panel"] for row in found}
    assert heading.startswith("mixture w64 M=320, loss: ") or "mixture w160 M=20, loss" in heading


def test_a_search_is_drawn_from_its_table(study, monkeypatch, tmp_path):
    frame = study.frame(
        """SELECT 'c' || i AS configuration, 100 * i AS params, 2000 * i AS tokens, 10 AS warmup,
           100.0 * i AS steps, 1.2e6 * i * i AS flops, 2 + 50 * (1.2e6 * i * i) ** -0.2 AS loss,
           true AS frontier, i % 3 > 0 AS kept, i = 4 AS chosen FROM range(1, 13) t(i)"""
    )
    monkeypatch.setattr(study, "frame", lambda *_: frame)
    kept = frame[frame["kept"]].reset_index(drop=True)
    law_rows = search_funnel.rows(
        SimpleNamespace(frame=lambda *_: kept),
        explorations.complete("search_funnel", {"reach": 1e12}),
    )
    write_rows(search_funnel.TABLE, law_rows, tmp_path / "x.parquet")
    spec = specification(get_figure("search_funnel"), study, {}, tmp_path / "x.parquet")
    law = rows(spec, "law")
    assert max(row["flops"] for row in law) == pytest.approx(1e12)
    for row in law:
        assert row["fit"] == pytest.approx(2 + 50 * row["flops"] ** -0.2, rel=1e-4)
    assert len(rows(spec, "run")) == 12 + 12 + 8
    assert render.to_svg(spec)


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
