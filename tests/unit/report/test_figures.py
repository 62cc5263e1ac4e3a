"""Figures: what they show, that they are offline, and that odd studies do not break them."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import study_records as records
from hypothesis import given
from hypothesis import strategies as st

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.laws import get_law
from scalebed.report.figures import registry
from scalebed.report.figures.registry import get_figure
from scalebed.report.figures.render import specification, to_svg
from scalebed.report.figures.style import linear_domain, log_axis, parse_style
from scalebed.report.numbers import compact
from scalebed.study.figures import FIGURES
from scalebed.tables.reader import StudyDatabase

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    """One ordinary study and four odd ones."""
    return {kind: records.shared_study(tmp_path_factory, kind) for kind in records.KINDS}


@pytest.fixture
def study(databases):
    with StudyDatabase(databases["whole"]) as study:
        yield study


def rows(spec, what=None):
    (data,) = spec["datasets"].values()
    return [row for row in data if what is None or row.get("what") == what]


@pytest.mark.parametrize("kind", records.KINDS)
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_of_every_study_renders(databases, kind, name):
    with StudyDatabase(databases[kind]) as study:
        spec, again = (specification(get_figure(name), study, {}) for _ in range(2))
    assert json.dumps(spec) == json.dumps(again)
    drawn = to_svg(spec)
    if kind == "whole":
        assert drawn == to_svg(again)
    svg = ElementTree.fromstring(drawn)
    texts = [node.text for node in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert any(text and text.startswith(get_figure(name).TITLE) for text in texts)
    if kind == "all failed":
        assert any("No cell" in (text or "") or "Nothing" in (text or "") for text in texts)


def test_registry_captions_and_files_agree():
    modules = {path.stem for path in Path(registry.__file__).parent.glob("*.py")}
    helpers = {"__init__", "registry", "style", "frames", "render", "javascript"}
    assert modules - helpers == set(registry.PLOTS)
    caption = (ROOT / "workflow" / "report" / "figure.rst").read_text(encoding="utf-8")
    assert re.findall(r'figure == "(\w+)"', caption) == list(FIGURES)
    for name in registry.PLOTS:
        assert get_figure(name).CAPTION.endswith(".")


def test_intervals_and_points_end_where_the_axes_end(study):
    spec = specification(get_figure("predicted_vs_measured"), study, {})
    panels = [panel for column in spec["hconcat"] for panel in column["vconcat"]]
    marks = [layer["mark"] for panel in panels for layer in panel["layer"]]
    # A loss and an error, each with what was predicted and below it the deviation.
    assert len(panels) == 4
    assert [mark["type"] for mark in marks] == [
        "line",
        "rule",
        "point",
        "rule",
        "rule",
        "point",
    ] * 2
    assert all(mark.get("clip") is True for mark in marks if mark["type"] != "line")


def test_law_curves_pass_through_the_predictions(study):
    law = get_law("tied")
    spec = specification(get_figure("loss_vs_compute"), study, {})
    curves = [row for row in rows(spec, "law") if row["dataset"] == "mixture"]
    query = (
        "SELECT parameter, value FROM fit_parameters "
        f"WHERE fit = 'loss/tied/mixture/{records.YARDSTICK}'"
    )
    values = {row["parameter"]: row["value"] for row in study.rows(query)}
    theta = np.array([values[parameter.name] for parameter in law.parameters])
    assert {row["M"] for row in curves} == {*records.RATIOS, 320}
    for row in curves[::17]:
        N = np.array([(row["flops"] / 6 / row["M"]) ** 0.5])
        assert row["y"] == pytest.approx(float(law.predict(theta, (N, row["M"] * N))[0]), rel=1e-4)
    assert {row["piece"] for row in curves} == {"interpolated", "extrapolated"}
    largest = study.rows(
        "SELECT max(flops) AS c FROM cells JOIN losses USING (cell) "
        "WHERE fit_loss AND dataset = 'mixture'"
    )[0]["c"]
    for row in curves:
        assert (row["flops"] <= largest * 1.00001) == (row["piece"] == "interpolated") or row[
            "flops"
        ] == pytest.approx(largest, rel=1e-4)


def test_a_data_set_without_a_law_shows_its_cells_and_says_so(study):
    spec = specification(get_figure("loss_vs_compute"), study, {})
    fiction = [row for row in rows(spec) if row["dataset"] == "fiction"]
    assert {row["what"] for row in fiction} == {"cell"}
    assert {row["panel"] for row in fiction} == {"fiction (no law fitted)"}


def test_intervals_are_those_of_the_database(study):
    for name, lower in (("loss_vs_compute", "loss_lower"), ("error_vs_loss", "error_lower")):
        kind = lower.partition("_")[0]
        spec = specification(get_figure(name), study, {})
        shown = sorted(row[lower] for row in rows(spec, "prediction"))
        stored = study.rows(
            "SELECT lower FROM predictions WHERE role = 'target' AND kind = ? AND response = ? "
            "ORDER BY lower",
            [kind, records.YARDSTICK if kind == "loss" else "average"],
        )
        assert shown == pytest.approx([row["lower"] for row in stored], rel=1e-5)
        assert len(shown) == 4


def test_reducible_loss_subtracts_the_floor(study):
    plain = rows(specification(get_figure("loss_vs_compute"), study, {}), "cell")
    less = rows(specification(get_figure("loss_vs_compute"), study, {"reducible": True}), "cell")
    floor = study.rows(
        "SELECT value FROM fit_parameters WHERE parameter = 'E' AND fit = ?",
        [f"loss/tied/mixture/{records.YARDSTICK}"],
    )[0]["value"]
    ys = [[row["y"] for row in found if row["dataset"] == "mixture"] for found in (plain, less)]
    assert np.array(ys[0]) - np.array(ys[1]) == pytest.approx(floor, rel=1e-4)
    assert {row["dataset"] for row in less} == {"encyclopedia", "mixture"}


def test_the_heat_map_marks_fit_target_failed_and_refused(study):
    found = rows(specification(get_figure("relative_error"), study, {}))
    by_cell = {(row["dataset"], row["size"], row["M"]): row for row in found}
    assert len(found) == len(records.grid())
    assert by_cell["mixture", "w96", 40]["label"] == "failed"
    assert by_cell["fiction", "w64", 20]["label"] == "no law"
    target = by_cell["mixture", "w160", 20]
    assert target["label"].endswith("◆")
    assert by_cell["mixture", "w64", 20]["fitted"] is True
    predicted = study.rows(
        "SELECT predicted, measured FROM predictions_vs_measured WHERE dataset = 'mixture' "
        "AND size = 'w160' AND kind = 'loss' AND response = ?",
        [records.YARDSTICK],
    )[0]
    expected = 100 * (predicted["predicted"] / predicted["measured"] - 1)
    assert target["error"] == pytest.approx(expected, rel=1e-4)


def test_training_curves_are_thinned_but_keep_their_ends(study):
    found = rows(specification(get_figure("training_curves"), study, {}))
    ends = {row["curve"]: 0 for row in found}
    for row in found:
        ends[row["curve"]] = max(ends[row["curve"]], row["tokens"])
    stored = study.rows("SELECT max(tokens) AS t FROM curves WHERE loss IS NOT NULL GROUP BY cell")
    assert sorted(ends.values()) == pytest.approx(sorted(row["t"] for row in stored), rel=1e-4)
    assert len(found) < 9000
    diverged = [row["loss"] for row in found if row["ended"] == "diverged"]
    assert max(diverged) > 8


def test_the_verb_writes_four_files_that_need_no_network(databases, tmp_path):
    prefix = tmp_path / "figures" / "heat.map"
    words = ["--figure", "relative_error", "--params", '{"kind":"error","png_scale":1.0}']
    words += ["--database", str(databases["whole"]), "--out-prefix", str(prefix)]
    assert main(["plot-figure", *words]) == 0
    assert sorted(path.name for path in prefix.parent.iterdir()) == [
        "heat.map.html",
        "heat.map.json",
        "heat.map.png",
        "heat.map.svg",
    ]
    assert (tmp_path / "figures" / "heat.map.png").read_bytes()[:4] == b"\x89PNG"
    page = (tmp_path / "figures" / "heat.map.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=[\"']?(?:https?:)?//", page)
    assert "mean task error" in page


@pytest.mark.parametrize(
    ("figure", "params", "told"),
    [
        ("pie", {}, "no figure is called 'pie'"),
        ("relative_error", {"colour": 1}, "unknown option 'colour'; there is width, "),
        ("loss_vs_compute", {"reducible": "yes"}, "option 'reducible' is 'yes'"),
        ("loss_vs_compute", {"width": -3}, "option 'width' is -3"),
        ("loss_vs_compute", {"width": True}, "option 'width' is True"),
    ],
)
def test_a_bad_option_is_one_sentence(study, figure, params, told):
    with pytest.raises(ScalebedError, match=re.escape(told)):
        specification(get_figure(figure), study, params)


def test_width_is_the_width_of_a_panel():
    assert parse_style("x", {"width": 111, "height": 50}, {}).panel(3) == {
        "width": 111,
        "height": 50,
    }


@given(
    st.floats(min_value=1e-9, max_value=1e30),
    st.floats(min_value=1.0, max_value=1e12),
    st.booleans(),
)
def test_log_axes_have_labelled_ticks_inside_their_domain(low, factor, count):
    axis = log_axis([low, low * factor], "x", count)
    first, last = axis["scale"].domain
    assert first < low <= low * factor < last
    ticks = axis["axis"].values
    assert all(first <= tick <= last * (1 + 1e-9) for tick in ticks)
    assert len(ticks) <= 16
    if factor > 2.5:
        assert ticks
    assert axis["axis"].labelExpr.count("?") == len(ticks)


@given(st.lists(st.floats(min_value=0.01, max_value=1e6), min_size=1, max_size=5))
def test_domains_hold_their_values(values):
    domain = linear_domain(values)
    assert domain[0] < min(values) <= max(values) < domain[1]


@pytest.mark.parametrize(
    ("value", "text"),
    [(950, "950"), (999_999, "1M"), (119_072, "119k"), (6_889_672_704, "6.89B"), (1.4e12, "1.4T")],
)
def test_counts_are_short(value, text):
    assert compact(value) == text
