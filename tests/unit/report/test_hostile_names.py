"""Names and texts that are HTML, SQL or orders to a terminal, on the page and in the terminal."""

import shutil
from html.parser import HTMLParser

import duckdb
import pytest
import study_records as records

from scalebed.commands.cli import main
from scalebed.report.figures.render import to_html, to_svg
from scalebed.report.write import write_report
from scalebed.study.figures import usual_figures

SCRIPT = "<script>alert(1)</script>"
IMAGE = "\"><img src=x onerror='alert(2)'>"
TERMINAL = "'; DROP TABLE cells; --\x1b[2J\x07{{ 7 * 7 }}"
REASON = f"{SCRIPT}{IMAGE}{TERMINAL}</script><!--<script>" + "x" * 100_000


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Return a database whose data sets, tasks and reasons have such names."""
    path = tmp_path_factory.mktemp("hostile") / "study.duckdb"
    shutil.copy(records.shared_study(tmp_path_factory, "a data set failed"), path)
    names = {"dataset": "encyclopedia", "reason": None}
    with duckdb.connect(str(path)) as connection:
        found = connection.execute(
            "SELECT table_name, column_name FROM duckdb_columns() JOIN duckdb_tables() "
            "USING (table_name) WHERE column_name IN ('dataset', 'reason')"
        ).fetchall()
        for table, column in found:
            new, old = (SCRIPT + IMAGE, names[column]) if column == "dataset" else (REASON, None)
            where = f"{column} = ?" if old else f"{column} IS NOT NULL"
            words = [new, old] if old else [new]
            connection.execute(f'UPDATE "{table}" SET {column} = ? WHERE {where}', words)
    return path


class Tags(HTMLParser):
    """Counts scripts, and what an event of a tag would run."""

    def __init__(self):
        super().__init__()
        self.scripts, self.events, self.images = 0, [], []

    def handle_starttag(self, tag, attributes):
        self.scripts += tag == "script"
        self.events += [name for name, _ in attributes if name.startswith("on")]
        self.images += [value for name, value in attributes if name == "src"]


def tags(text):
    parser = Tags()
    parser.feed(text)
    return parser


def test_names_are_text_on_the_page(hostile, tmp_path):
    one = {"loss_vs_compute": usual_figures()["loss_vs_compute"]}
    one["loss_vs_compute"]["options"] = one["loss_vs_compute"]["options"] | {"png_scale": 0.1}
    page = tmp_path / "report.html"
    params = records.REPORT | {"title": SCRIPT + IMAGE, "figures": one}
    write_report(params, hostile, page)
    text = page.read_text(encoding="utf-8")
    found = tags(text)
    assert found.scripts == 4  # specification, picture, Vega, our own
    assert found.events == []
    assert found.images == []
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "\x1b" not in text


def test_names_are_text_in_pictures_and_pages_of_figures():
    name = SCRIPT + IMAGE + "<!--<script>"
    spec = {
        "data": {"values": [{"x": name, "y": 1}]},
        "mark": "bar",
        "title": name,
        "encoding": {"x": {"field": "x", "type": "nominal"}, "y": {"field": "y"}},
    }
    svg = to_svg(spec)
    assert "<script" not in svg
    assert (tags(svg).events, tags(svg).scripts) == ([], 0)
    page = tags(to_html(spec, name, ""))
    assert (page.events, page.images) == ([], [])
    assert "<script>alert" not in to_html(spec, name, "")


def test_names_drive_no_terminal(hostile, capsys):
    assert main(["show-predictions", "--database", str(hostile)]) == 0
    said = capsys.readouterr().out
    assert all(letter in "\n\t" or letter >= " " for letter in said)
