"""Further figures, which a study file asks for by name: what they show on an invented study."""

import re
from importlib import import_module
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import study_records as records
from test_figures import rows

from scalebed.checks.explore import options as explorations
from scalebed.checks.explore import search_funnel
from scalebed.checks.explore.registry import explore
from scalebed.core.errors import ScalebedError
from scalebed.report.figures import relative_error, render
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


KINDS = ("whole", "no targets", "one cell", "all failed")


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    return {kind: records.shared_study(tmp_path_factory, kind) for kind in KINDS}


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


@pytest.mark.parametrize("kind", KINDS)
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
    ("error", "signed", "absolute"),
    [
        (-0.04, "+0.0", "0.0"),
        (0.04, "+0.0", "0.0"),
        (-2.36, "−2.4", "2.4"),
        (11.0, "+11.0", "11.0"),
    ],
)
def test_errors_have_one_decimal_and_none_is_minus_nothing(error, signed, absolute):
    row = SimpleNamespace(error=error, target=False, status="done", unpredicted=False)
    assert relative_error._label(row, absolute=False) == signed
    row.error, row.target = abs(error), True
    assert relative_error._label(row, absolute=True) == f"{absolute} ◆"


def test_panels_of_tasks_fill_the_page_and_are_four_fifths_as_high(study):
    """Of 840 pixels two columns get 420 each, of which labels take 45."""
    spec = specification(get_figure("task_panels"), study, {"columns": 2})
    assert (spec["columns"], spec["spec"]["width"], spec["spec"]["height"]) == (2, 375, 300)


def brightness(channel):
    """Relative luminance of a channel, WCAG 2.2."""
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def test_points_stand_out_from_white_paper(study):
    """As WCAG 2.2 asks of pictures (1.4.11): 3 to 1, as they are laid over white."""
    drawn = to_svg(specification(get_figure("errors_by_validation"), study, {}))
    points = [
        (node.get("fill"), float(node.get("opacity") or 1))
        for node in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}path")
        if node.get("aria-roledescription") == "point"
    ]
    assert len(set(points)) == 3
    for fill, opacity in set(points):
        shades = [int(fill[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        over = [brightness(opacity * shade + 1 - opacity) for shade in shades]
        luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), over, strict=True))
        assert 1.05 / (luminance + 0.05) >= 3


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
