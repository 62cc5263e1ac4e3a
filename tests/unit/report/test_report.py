"""The report: its numbers, its cautions, its formulas, and that it stands alone."""

import base64
import hashlib
import json
import re
from types import SimpleNamespace

import pytest
import scipy.stats
import study_records as records

from scalebed.commands.cli import main
from scalebed.laws import NAMES, get_law
from scalebed.report import answer, cautions, numbers
from scalebed.report.cells import cell_frame, rises, spearman
from scalebed.report.embed import unpacked
from scalebed.report.formulas import fitted, formula_html
from scalebed.report.labels import readable
from scalebed.report.methods import methods
from scalebed.report.places import places
from scalebed.report.text import _verdicts, predictions_text
from scalebed.report.write import write_report
from scalebed.study.figures import FIGURES, usual_figures
from scalebed.tables.reader import StudyDatabase

PARAMS = records.REPORT
ONE = {"E": 1.5, "lambda": 210.0, "eta": 0.125}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return records.shared_study(tmp_path_factory, "whole")


@pytest.fixture
def study(database):
    with StudyDatabase(database) as study:
        yield study


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return records.shared_report(tmp_path_factory).read_text(encoding="utf-8")


def small_pictures():
    """The usual figures; of their PNG files, which are no part of the page, only thumbnails."""
    figures = usual_figures()
    for figure in figures.values():
        figure["options"] = figure["options"] | {"png_scale": 0.1}
    return {"figures": figures}


def evidence(study):
    fits, others = fitted(study)
    found = answer.targets(study)
    return cautions.Evidence(study, cell_frame(study), fits, others, found, answer.held_out(study))


def titles(study):
    return {caution.title: caution for caution in cautions.cautions(evidence(study))}


def embedded(page, name):
    """Return what a page holds packed under a name."""
    (found,) = re.findall(rf'<script type="application/gzip" id="{name}">(.*?)</script>', page)
    return unpacked(found)


def visible(page):
    """Return the text of a page without scripts, styles and tags."""
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_the_page_stands_alone(page):
    assert page.lstrip().startswith("<!DOCTYPE html>")
    body = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"([^\"]*)", body)
    assert "@import" not in page.partition("<script")[0]
    assert "window.vegaEmbed" in embedded(page, "vega")
    assert page.rstrip().endswith("</html>")


def test_only_the_scripts_of_the_page_may_run(page):
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.replace("&#39;", "'").split(";"))
    (own,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    sums = [hashlib.sha256(text.encode()).digest() for text in (own, embedded(page, "vega"))]
    named = [f"'sha256-{base64.b64encode(value).decode()}'" for value in sums]
    assert rules["script-src"].split() == named
    assert rules["default-src"] == "'none'"


def test_the_page_embeds_each_figure_as_picture_and_specification(page):
    for name in ("loss_vs_compute", "training_curves"):
        assert json.loads(embedded(page, f"spec-{name}"))["datasets"]
        assert embedded(page, f"still-{name}").startswith("<svg")
    assert re.findall(r'<figure id="figure-(\w+)">', page) == list(FIGURES)


def test_titles_are_escaped(page):
    assert "<title>Tests &lt;b&gt;&amp; more</title>" in page


def test_the_first_section_shows_the_numbers_of_the_database(study, page):
    first = visible(page.partition('<section id="figures">')[0])
    for row in study.rows("FROM predictions_vs_measured WHERE role = 'target'"):
        if row["response"] in (records.YARDSTICK, "average"):
            for name in ("predicted", "measured", "lower", "upper"):
                assert f"{row[name]:.3f}" in first
    assert "no prediction" in first
    assert "90 % interval" in first


def test_what_intervals_contain_is_said_once_and_whole(study, page):
    told = methods(answer.targets(study))
    given = {
        row["method"]
        for target in answer.targets(study)
        for row in (target.loss, target.error)
        if row and row["method"]
    }
    # Every description can be read word by word, and like ones stand together.
    rebuilt = {method.text(index) for method in told for index in range(len(method.labels))}
    assert rebuilt == given
    assert len(told) < len(given)
    text = visible(page)
    for method in told:
        for piece in method.pieces:
            for variant in piece:
                assert re.sub(r"\s+", " ", variant.strip()) in text


def test_the_pooled_fit_stands_beside_the_separate_ones(study, page):
    text = visible(page)
    assert "One fit over all data sets" in text and "alpha shared by all of them" in text
    (together,) = study.rows(
        "SELECT avg(o.relative_error) AS mean FROM pooled_predictions AS o "
        "JOIN predictions AS p USING (cell, response) "
        "WHERE o.role = 'target' AND p.kind = 'loss' AND p.relative_error IS NOT NULL"
    )
    mean = re.sub(r"\s", " ", numbers.percent(together["mean"], 2))
    assert f"{mean} together" in text


def test_the_checks_have_their_tables(study, page):
    text = visible(page)
    for title in ("Do the intervals cover?", "Data sets compared", "Which tasks can be predicted"):
        assert title in text
    # The tournament was not asked for.
    assert "Which law to believe" not in text
    (row,) = study.rows(
        "SELECT * FROM calibration WHERE chosen AND dataset = 'all' AND kind = 'loss' "
        "AND scheme = 'other data sets' AND response = $yardstick",
        {"yardstick": records.YARDSTICK},
    )
    said = numbers.percent(row["coverage"], 0)
    assert f"{said} of {row['cells']} runs of {records.YARDSTICK} (other data sets)" in text


def test_cells_that_decide_a_fit_are_named(study, page):
    decided = study.rows("SELECT DISTINCT fit FROM influence WHERE leverage > 0.99")
    main = [row for row in fitted(study)[0] if row["decisive"]]
    assert {row["fit"] for row in main} <= {row["fit"] for row in decided}
    assert ("It rests on" in visible(page)) == bool(main)


def test_every_cell_of_a_table_knows_its_heading():
    head = (
        '<thead><tr><th></th><th class="group" colspan="2">Loss</th><th></th></tr>'
        '<tr><th>Target</th><th class="n">measured</th><th>rel. error</th><th></th></tr></thead>'
    )
    body = (
        '<tr><td>x</td><td class="n">1</td><td>2</td><td></td></tr><tr><td colspan="4">y</td></tr>'
    )
    table = readable(f'<table class="answer">{head}<tbody>{body}</tbody></table>')
    assert '<th scope="colgroup" class="group" colspan="2">Loss</th>' in table
    assert '<th scope="col" class="n">measured</th>' in table
    assert table.startswith('<table class="plain answer">')
    row = '<td data-label="Target">x</td><td class="n" data-label="Loss measured">1</td>'
    assert f'{row}<td data-label="Loss rel. error">2</td><td></td>' in table
    assert '<td colspan="4">y</td>' in table
    wide = "".join(f"<th>{name}</th>" for name in "abcde")
    assert readable(f"<table><thead><tr>{wide}</tr></thead></table>").startswith(
        '<table class="cards">'
    )
    name = "a_training_set&amp;more"
    told = readable(f"<table><thead><tr><th>x</th></tr></thead><tr><td>{name}</td></tr></table>")
    assert "a_training_s<wbr>et&amp;more</td>" in told
    assert readable("<table><tr><td>1</td></tr></table>") == "<table><tr><td>1</td></tr></table>"


def test_the_name_of_a_cell_leads_to_its_row_record_and_log(tmp_path, study, page):
    anchors = dict(re.findall(r'<tr id="(cell-\d+)" title="([^"]*)"', page))
    assert set(anchors.values()) == {row["cell"] for row in study.rows("FROM cells")}
    links = set(re.findall(r'href="#(cell-\d+)"', page))
    targets = {row["cell"] for row in study.rows("FROM cells WHERE target")}
    assert targets <= {anchors[link] for link in links}
    folder = tmp_path / "results/studies/one"
    cells = [{"cell": "dataset=a/size=1m"}, {"cell": "dataset=a/size=2m"}]
    for file in (
        "results/cells/dataset=a/size=1m/metrics.json",
        "logs/train_cell/dataset=a/size=1m.log",
    ):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    found = places(cells, folder / "study.duckdb", folder / "report.html")
    assert found == {
        "dataset=a/size=1m": [
            ("record", "../../cells/dataset=a/size=1m/metrics.json"),
            ("log", "../../../logs/train_cell/dataset=a/size=1m.log"),
        ],
        "dataset=a/size=2m": [],
    }


def test_tasks_that_cannot_be_predicted_are_marked(study, page):
    wanted = study.rows(
        "SELECT count(*) AS count FROM predictions p JOIN reliability r "
        "ON r.task = p.response AND r.dataset = 'all' "
        "WHERE p.kind = 'error' AND p.role = 'target' AND r.class <> 'predictable'"
    )
    assert visible(page).count("cannot be predicted ") >= wanted[0]["count"]
    assert page.count(": cannot be predicted</strong>") == wanted[0]["count"]


def test_the_width_of_intervals_is_split_by_its_sources(study, page):
    text = visible(page)
    assert "Where the width of each interval comes from" in text
    rows = study.rows(
        "SELECT share_loss_fit, share_error_fit, share_run FROM predictions "
        "WHERE role = 'target' AND kind = 'error' AND response = 'average' AND share_run > 0"
    )
    assert rows
    for row in rows:
        for value in row.values():
            assert numbers.significant(value, 2) in text


def test_verdicts_stand_beside_predictions(study, page):
    told = {row["verdict"] for row in study.rows("SELECT verdict FROM predictions")}
    assert any(verdict.startswith("numbers: doubtful") for verdict in told)
    assert page.count('title="numbers: doubtful') >= 2


def test_summaries_agree_with_sql(study):
    loss = answer.summary([target.loss for target in answer.targets(study)], "loss")
    (row,) = study.rows(
        "SELECT avg(relative_error) AS mean, max(relative_error) AS worst, count(*) AS n, "
        "count(*) FILTER (covered) AS covered FROM predictions "
        "WHERE role = 'target' AND kind = 'loss' AND response = ?",
        [records.YARDSTICK],
    )
    assert (loss.compared, loss.covered) == (row["n"], row["covered"])
    assert loss.mean == pytest.approx(row["mean"])
    assert loss.worst == pytest.approx(row["worst"])
    assert loss.expected == pytest.approx(0.9**4)


def test_targets_without_prediction_are_listed_with_the_reason(study):
    fiction = [target for target in answer.targets(study) if target.cell["dataset"] == "fiction"]
    assert len(fiction) == 2
    for target in fiction:
        assert target.loss["predicted"] is None
        assert target.loss["refused"] is True
        assert target.loss["measured"] is not None


def test_cautions_of_the_invented_study(study):
    found = titles(study)
    assert found["Fits refused"].serious
    assert "fiction" in found["Fits refused"].items[0]
    assert len(found["Cells not finished"].items) == 2
    assert "1 degree of freedom" in found["Few degrees of freedom"].items[0]
    assert all("M=320" in item for item in found["Repeated tokens"].items)
    assert "rhyme" in found["Tasks at chance"].items[0]
    assert not found["Tasks at chance"].serious
    assert len(found["Extrapolation"].items) == 6
    assert "Loss rises where it should fall" not in found
    order = [caution.serious for caution in cautions.cautions(evidence(study))]
    assert order == sorted(order, reverse=True)


def test_a_loss_that_rises_is_listed(tmp_path):
    cells = records.grid(("encyclopedia",))
    records.write_cells(tmp_path / "cells", cells)
    path = tmp_path / "cells" / "dataset=encyclopedia/size=w64/ratio=40/recipe=base/seed=0"
    record = json.loads((path / "losses.json").read_text())
    for name in ("loss", "loss_sequences_lower", "loss_sequences_upper"):
        record["losses"][records.YARDSTICK][name] += 0.4
    (path / "losses.json").write_text(json.dumps(record))
    with StudyDatabase(records.build(tmp_path, cells)) as study:
        found, compared = rises(cell_frame(study))
        caution = titles(study)["Loss rises where it should fall"]
    # 4 ratios of 3 steps in N, 4 sizes of 3 steps in M, and the two targets.
    assert compared == 4 * 3 + 4 * 3 + 2
    assert sorted(rise.along for rise in found) == ["M", "N"]
    assert all(rise.worse["size"] == "w64" and rise.worse["ratio"] == 40 for rise in found)
    assert all(rise.apart for rise in found)
    assert len(caution.items) == 2


def test_bad_fits_and_misses_are_told(study):
    known = evidence(study)
    row = {**known.targets[0].loss, "covered": False}
    known.fits[0].update(bounds_hit="E", converged=False)
    known.fits[2].update(starts_agreeing=1)
    known.held_out[0].update(covered=1, cells=20, high=0.2)
    missed = known._replace(targets=[known.targets[0]._replace(loss=row)])
    found = {caution.title: caution for caution in cautions.cautions(missed)}
    assert "predicted" in found["Targets outside their interval"].items[0]
    assert found["Parameters at a bound"].items[0].endswith(": E")
    assert len(found["Doubtful optima"].items) == 2
    assert found["Calibration"].serious


def test_spearman_is_the_rank_correlation(study):
    cells = cell_frame(study)
    both = cells[["loss", "error"]].dropna()
    value, n = spearman(cells)
    assert n == len(both)
    assert value == pytest.approx(scipy.stats.spearmanr(both["loss"], both["error"]).statistic)
    assert spearman(cells.head(2))[0] != spearman(cells.head(2))[0]


@pytest.mark.parametrize(
    ("chained", "direct", "verdict"),
    [
        (0.001, 0.056, "mistakes cancel"),
        (0.056, 0.001, "the loss stage adds error"),
        (0.010, 0.012, "stages agree within noise"),
    ],
)
def test_both_stages_are_judged(chained, direct, verdict):
    row = {"relative_error": 0.04, "measured": 0.5, "share_noise": 0.005}
    error = {**row, "relative_error": chained, "relative_error_from_measured_loss": direct}
    (found,) = answer.both_stages([answer.Target({"cell": "x"}, row, error)])
    assert found["verdict"] == verdict


def test_wilson_intervals():
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    assert answer.wilson(81, 263, 1.959964) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert answer.wilson(15, 148, 1.959964) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert answer.wilson(0, 20, 1.959964) == pytest.approx((0.0, 0.1611), abs=5e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_formula_is_written_whole(name):
    """No sign of the formula gets lost on the way to the page."""
    law = get_law(name)
    plain = re.sub(r"<[^>]+>|\s", "", str(formula_html(law.formula)))
    assert plain.count("(") == plain.count(")")
    for parameter in law.parameters:
        head = parameter.name.partition("_")[0]
        if re.search(rf"\b{re.escape(parameter.name)}\b", law.formula):
            shown = {"alpha": "α", "beta": "β", "gamma": "γ", "eps": "ε", "eta": "η"}
            assert shown.get(head, head if head != "lambda" else "λ") in plain
    numbers_in = formula_html(law.formula, {p.name: 1.25 for p in law.parameters})
    known = [p for p in law.parameters if re.search(rf"\b{re.escape(p.name)}\b", law.formula)]
    assert str(numbers_in).count("<b>1.25</b>") >= len(known)


def test_formulas_with_numbers():
    tied = get_law("tied").formula
    values = {"E": 1.5, "A": 141.0, "B": 190.0, "alpha": 0.25}
    assert formula_html(tied, values).striptags() == "L = 1.5 + 141 · N−0.25 + 190 · D−0.25"
    assert "<sup>−<b>0.25</b></sup>" in formula_html(tied, values)
    assert formula_html(tied).striptags() == "L = E + A N−α + B D−α"
    decay = get_law("decay").formula
    values = {"eps": 0.85, "k": 2.08, "gamma": 0.756}
    assert formula_html(decay, values).striptags() == "Err = 0.85 − 2.08 · exp(−0.756 · L)"


def test_every_fit_is_shown_with_its_own_numbers():
    """Two data sets, and a parameter of the second one that has no value."""
    named = {"kind": "loss", "law": "compute", "response": "val"}
    fits = [
        named | {"fit": "one", "dataset": "red", "status": "fitted"},
        named | {"fit": "two", "dataset": "blue", "status": "refused"},
        named | {"fit": "three", "dataset": "red", "response": "other", "status": "fitted"},
    ]
    found = [
        *({"fit": "one", "parameter": name, "value": value} for name, value in ONE.items()),
        {"fit": "two", "parameter": "E", "value": None},
    ]

    def rows(query, given=None):
        if "fit_parameters" in query:
            return found
        return [] if "influence" in query else fits

    headline, others = fitted(SimpleNamespace(yardstick="val", rows=rows))
    one, two = headline
    assert [(row["parameter"], row["value"]) for row in one["rows"]] == list(ONE.items())
    assert [row["symbol"] for row in one["rows"]] == ["<i>E</i>", "<i>λ</i>", "<i>η</i>"]
    assert one["formula_numbers"].striptags() == "L = 1.5 + 210 · C−0.125"
    assert [(row["parameter"], row["value"]) for row in two["rows"]] == [("E", None)]
    assert two["formula_numbers"] is None
    assert [(fit["fit"], fit["rows"]) for fit in others] == [("three", [])]


@pytest.mark.parametrize(
    ("function", "arguments", "text"),
    [
        (numbers.percent, (0.0123,), "1.2 %"),
        (numbers.percent, (-0.00001, 1, True), "+0.0 %"),
        (numbers.percent, (None,), "–"),
        (numbers.significant, (1.2345e9,), "1.234×10⁹"),
        (numbers.significant, (-0.5,), "−0.5"),
        (numbers.significant, (float("inf"),), "∞"),
        (numbers.times, (29.17,), "29×"),
        (numbers.times, (0.254,), "0.25×"),
        (numbers.duration, (59.0,), "59 s"),
        (numbers.duration, (3600.0,), "60 min"),
        (numbers.plural, (1, "cell"), "1 cell"),
        (numbers.plural, (1200, "cell"), "1,200 cells"),
    ],
)
def test_numbers_as_people_write_them(function, arguments, text):
    assert function(*arguments) == text


@pytest.mark.parametrize("kind", ["no targets", "no tasks", "all failed", "targets not measured"])
def test_odd_studies_get_a_page(tmp_path, kind):
    cells = records.grid(("encyclopedia",), targets=kind != "no targets")
    records.write_cells(tmp_path / "cells", cells, "encyclopedia" if kind == "all failed" else None)
    if kind == "targets not measured":
        for cell in (cell for cell in cells if (cell.size, cell.ratio) in records.TARGETS):
            records.write_cell(tmp_path / "cells" / cell.path, cell, "encyclopedia")
    database = records.build(tmp_path, cells, suite=kind != "no tasks")
    write_report(PARAMS | small_pictures(), database, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = visible(page.partition('<section id="figures">')[0])
    figures = re.findall(r'<figure id="figure-(\w+)">', page)
    assert ("error_vs_loss" in figures) == (kind not in ("no tasks", "all failed"))
    assert ("Not drawn: " in visible(page)) == (len(figures) < len(FIGURES))
    told = {
        "no targets": "This study names no targets",
        "no tasks": "inside",
        "all failed": "no prediction",
        "targets not measured": "no target has both a prediction and a measurement",
    }
    assert told[kind] in text
    assert ("Mean task error</th>" in page) == (
        kind not in ("no targets", "no tasks", "all failed")
    )
    with StudyDatabase(database) as study:
        assert ("encyclopedia" in predictions_text(study)) == (kind != "no targets")


def test_the_table_for_the_terminal(database, capsys, page):
    assert main(["show-predictions", "--database", str(database)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["data", "set", "size"]
    assert lines[0].split()[-2:] == ["numbers", "evidence"]
    assert len([line for line in lines[1:13] if line]) == 12
    refused = [line for line in lines if "fit refused" in line]
    assert len(refused) == 2
    assert "4 of 4 inside the 90 % prediction interval" in lines[14]
    end = lines.index(f"database  {database}")
    assert lines[end - 1] == f"report    {database.with_name('report.html')}"
    # The first words of the two statements stand beside each prediction.
    with StudyDatabase(database) as study:
        rows = study.rows("SELECT numbers, evidence FROM predictions WHERE role = 'target'")
        reasons = study.rows("SELECT cell, status, reason FROM cells WHERE status <> 'done'")
    first = {row["numbers"].partition(":")[0].removeprefix("loss law ") for row in rows}
    assert {"found", "doubtful", "refused"} >= first
    for line in lines[1:13]:
        assert line.split()[-1] == "–" or any(word in line[100:] for word in first)
    # Cells without a model come last.
    assert lines[end + 2].startswith("2 of 54 cells are without a model")
    ended = {f"  {row['cell']}: {row['status']}: {row['reason']}" for row in reasons}
    assert len(ended) == 2
    assert set(lines[end + 3 :]) == ended


def test_statements_are_there_in_full_on_request(database, capsys, page):
    assert main(["show-predictions", "--full", "--database", str(database)]) == 0
    shown = capsys.readouterr().out.splitlines()
    for word in ("numbers", "evidence"):
        said = [line for line in shown if line.startswith(f"    {word}: ")]
        assert len(said) == {"numbers": 10, "evidence": 8}[word]
    with StudyDatabase(database) as study:
        rows = study.rows("SELECT numbers, evidence FROM predictions WHERE role = 'target'")
    told = {f"    {key}: {row[key]}" for row in rows for key in row}
    assert {line for line in shown if line.startswith("    evidence")} <= told
    assert len([line for line in shown if "numbers: refused: one ray of M" in line]) == 2


def test_first_words_of_statements():
    held = "held: of 2 sizes, 2 inside"
    assert _verdicts(held) == "held"
    assert _verdicts(f"loss law {held}; error law {held}") == "held"
    far = "held to 2x of 9x the compute: of 2 sizes"
    assert _verdicts(f"loss law {far}; error law {held}") == "held to 2x of 9x the compute"
    missed = "missed along M: M is 2 times the largest; from size to size held: of 2 sizes"
    assert _verdicts(f"loss law {missed}; error law {held}") == "missed along M, held"
    assert _verdicts("loss law found; error law doubtful: few; and more") == "found, doubtful"
    assert _verdicts("found") == "found"


def test_the_verb_writes_the_same_page_again(database, tmp_path, page):
    words = ["--params", json.dumps(PARAMS | small_pictures()), "--database", str(database)]
    assert main(["write-report", *words, "--out", str(tmp_path / "r.html")]) == 0
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == page
    words[1] = json.dumps(
        {"figures": {"map": {"plot": "relative_error", "title": "A map", "options": {"colour": 1}}}}
    )
    assert main(["write-report", *words, "--out", str(tmp_path / "no.html")]) == 2
    assert not (tmp_path / "no.html").exists()
