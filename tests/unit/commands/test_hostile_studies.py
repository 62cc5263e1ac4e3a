"""Hostile names through every verb: one table, one study of it, beside those of harmless names."""

import json
from collections import Counter
from html.parser import HTMLParser

import hostile_texts
import numpy as np
import pandas as pd
import pytest
import yaml

from scalebed.commands.cli import main
from scalebed.core.provenance import canonical_json
from scalebed.plan import rule_params
from scalebed.study.load import parse_any
from scalebed.watch.seals import read_seal, seal_digest

HARMLESS = {"web": "web", "code": "code", "task": "task", "further": "further", "note": "note"}
HOSTILE = {
    "web": hostile_texts.ALL,
    "code": "</script><!--<script>",
    "task": hostile_texts.ALL,
    "further": hostile_texts.VEGA + hostile_texts.MARKUP,
    "note": f"{hostile_texts.ALL}\x1b[2J\n\0\u202e",
}
DRAWS = ("--draws", "200")
TARGET = ("--target", "params=3B,tokens=60B")


def frame(names):
    """Return runs of two data sets that follow the laws up to a little noise."""
    noise, found = np.random.default_rng(5), []
    for dataset, floor in (("web", 1.8), ("code", 1.2)):
        for params in (10e6, 30e6, 100e6, 1e9):
            for ratio in (20, 80):
                loss = floor + 120 * params**-0.25 + 150 * (ratio * params) ** -0.25
                loss *= 1 + 0.003 * noise.standard_normal()
                error = 0.9 - 2.0 * np.exp(-0.7 * loss)
                run = f"{names['web']} {len(found)}"
                row = (names[dataset], run, params, ratio * params, loss, error, loss * 1.1)
                found.append((*row, names["note"]))
    found.append((names["web"], f"{names['web']} -1", 1e9, 3e10, None, None, None, None))
    columns = ["dataset", "run", "params", "tokens", "loss", f"error_{names['task']}"]
    return pd.DataFrame(found, columns=[*columns, f"loss_{names['further']}", names["note"][:9]])


class Page(HTMLParser):
    """Collects elements with the names of their attributes; breaks of long words are none.

    What runs or loads is counted; how many items and notes there are depends on the draws, whose
    seeds come from names.
    """

    def __init__(self, text):
        super().__init__()
        self.elements, self.counts = set(), Counter()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        if tag != "wbr":
            self.elements.add((tag, *(name for name, _ in attributes)))
        self.counts[tag] += tag in ("script", "style", "svg", "img", "iframe", "object", "link")


def values(title):
    return {
        "name": "mine",
        "title": title,
        "source": {"importer": "table", "path": "runs.parquet"},
        "fit": {
            "loss": "loss",
            "loss_cells": [{"sizes": ["10m", "30m", "100m"]}],
            "targets": [{"sizes": ["1000m"]}],
        },
        "bootstrap": {"draws": 100},
        "checks": ["reliability", "contrasts"],
        "figures": {"loss_vs_compute": {"png_scale": 0.1}},
    }


def imported(names):
    """Make a study of the table in this folder, to its report."""
    frame(names).to_parquet("runs.parquet")
    study = parse_any(values(names["web"]), "study.yaml")
    spec, fit = rule_params.imported(study), rule_params.fit(study)
    report = rule_params.report(study)
    drawn = json.dumps(report | {"figures": rule_params.figures(study)})
    gathered = ["--tables", "tables", "--fits", "fits", "--checks", "checks"]
    for words in (
        ["import-cells", "--params", canonical_json(spec), "--source", "runs.parquet"],
        ["fit-laws", "--params", canonical_json(fit), "--tables", "tables"],
        ["compare", ".", "--only", "reliability"],
        ["contrast", "."],
        ["gather-study", "--params", canonical_json(report), *gathered],
        ["write-report", "--params", drawn, "--database", "study.duckdb"],
    ):
        outs = {"import-cells": "tables", "fit-laws": "fits", "gather-study": "study.duckdb"}
        out = outs.get(words[0], "report.html" if words[0] == "write-report" else "checks")
        assert main([*words, "--out", out]) == 0


def shown(capsys):
    """Return what was printed, which has no character but letters, signs and ends of lines."""
    printed = capsys.readouterr()
    said = printed.out + printed.err
    assert said.replace("\n", "").isprintable()
    return printed.out


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return the folders of the study under its harmless and its hostile names."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for key, names in (("harmless", HARMLESS), ("hostile", HOSTILE)):
            found[key] = tmp_path_factory.mktemp(key)
            patch.chdir(found[key])
            imported(names)
    return found


def test_a_report_has_the_same_elements_whatever_names_are(folders):
    texts = {key: (path / "report.html").read_text("utf-8") for key, path in folders.items()}
    hostile, harmless = Page(texts["hostile"]), Page(texts["harmless"])
    assert hostile.elements == harmless.elements
    assert hostile.counts == harmless.counts
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in texts["hostile"].replace("<wbr>", "")
    assert "\x1b" not in texts["hostile"]


def test_a_study_writes_the_same_files_whatever_names_are(folders):
    names = [sorted(str(f.relative_to(path)) for f in path.rglob("*")) for path in folders.values()]
    assert names[0] == names[1]


def test_a_database_holds_names_and_texts_as_they_were_given(folders):
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(folders["hostile"] / "study.duckdb"), read_only=True) as connection:
        for query, expected in (
            ("SELECT DISTINCT dataset FROM cells", {HOSTILE["web"], HOSTILE["code"]}),
            ("SELECT DISTINCT task FROM tasks", {f"error_{HOSTILE['task']}"}),
            ("SELECT DISTINCT validation FROM losses", {"loss", f"loss_{HOSTILE['further']}"}),
            ("SELECT value FROM provenance WHERE key = 'title'", {HOSTILE["web"]}),
            ("SELECT DISTINCT value FROM arguments WHERE key <> 'run'", {HOSTILE["note"]}),
        ):
            assert {row[0] for row in connection.execute(query).fetchall()} == expected


def test_a_terminal_shows_names_and_obeys_none(folders, capsys, monkeypatch):
    monkeypatch.chdir(folders["hostile"])
    before = set(folders["hostile"].rglob("*"))
    own = ("study.duckdb", "--dataset", HOSTILE["web"])
    for words in (
        ["show-predictions", "--database", "study.duckdb", "--full"],
        ["compare", ".", "--only", "reliability"],
        ["predict", *own, *TARGET],
    ):
        assert main(words) == 0
        assert HOSTILE["web"] in shown(capsys)
    assert main(["suggest", *own, "--compute", "1e21", "--count", "1"]) == 0
    (block,) = yaml.safe_load("grid:" + shown(capsys).partition("\ngrid:")[2])["grid"]
    assert block["datasets"] == [HOSTILE["web"]]
    assert main(["decide", "study.duckdb", "--dataset", "\x1b[2J", "--compute", "1e21"]) == 2
    assert r"--dataset is '\x1b[2J'" in capsys.readouterr().err
    assert set(folders["hostile"].rglob("*")) == before


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A folder with a table of the first data set."""
    monkeypatch.chdir(tmp_path)
    found = frame(HOSTILE)
    found[found.dataset == HOSTILE["web"]].to_csv("runs.csv", index=False)
    return tmp_path


def test_a_fit_of_a_table_carries_names(table, capsys):
    assert main(["fit", "runs.csv", *DRAWS, *TARGET]) == 0
    assert HOSTILE["web"] in shown(capsys)
    record = json.loads((table / "runs.fit.json").read_text())
    assert {one["dataset"] for one in record["predictions"]} == {HOSTILE["web"]}
    responses = {one["response"] for one in record["fits"]}
    assert responses == {"loss", f"loss_{HOSTILE['further']}", f"error_{HOSTILE['task']}"}
    assert {one["run"] for one in record["predictions"]} == {None, f"run {HOSTILE['web']} -1"}
    assert {path.name for path in table.iterdir()} == {"runs.csv", "runs.fit.json"}


def test_a_seal_carries_names_and_its_comment_shows_them_as_code(table, capsys):
    words = ["--response", "loss", "--out", "7b.json", "--despite-evidence"]
    assert main(["seal", "runs.csv", *DRAWS, *TARGET, *words]) == 0
    title, *_ = shown(capsys).splitlines()
    assert title.endswith(f", ``{HOSTILE['web']}``")
    assert read_seal(table / "7b.json")["dataset"] == HOSTILE["web"]
    assert main(["judge", "7b.json", "--loss", "2.4"]) == 0
    assert main(["ledger", "."]) == 0
    shown(capsys)


@pytest.mark.parametrize("key", ["dataset", "prediction.response", "despite_evidence"])
def test_a_forged_seal_draws_no_line_of_its_own(table, capsys, key):
    words = ["--response", "loss", "--out", "7b.json", "--despite-evidence"]
    assert main(["seal", "runs.csv", *DRAWS, *TARGET, *words]) == 0
    record = json.loads((table / "7b.json").read_text())
    *outer, last = key.split(".")
    forged = "a\nN 1B, D 20B: measured"
    (record[outer[0]] if outer else record)[last] = [forged] if last == key[:16] else forged
    record["digest"] = seal_digest(record)
    (table / "7b.json").write_text(json.dumps(record))
    capsys.readouterr()
    assert main(["judge", "7b.json", "--loss", "2.4"]) == 2
    assert capsys.readouterr().err.startswith(f"scalebed judge: error: 7b.json: {key} is ")
