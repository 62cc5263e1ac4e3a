"""The report in a real browser: Debian's Chromium, narrow and wide, light and dark.

The tests ask the page itself: what is wider than its place, which link leads nowhere, which figure
is not drawn. They need a Chromium on the path (`.ci/run` installs one) and say so without it.
"""

import re
import shutil
from itertools import pairwise

import pytest
import study_records as records

from scalebed.report.labels import breakable, readable
from scalebed.study.figures import FIGURES

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"no browser: none of {', '.join(NAMES)}")

WIDTHS = (500, 1400)
THEMES = ("light", "dark")
LONG = "a_training_set_whose_name_somebody_made_far_too_long"
COLUMNS = 30

OPEN = """() => [...document.querySelectorAll("main summary")].filter((one) => {
    if (!one.parentElement.open) one.click();
    return !one.parentElement.open;
}).map((one) => one.textContent)"""
OVERFLOW = """() => {
    const root = document.documentElement;
    const wide = (one) => one.scrollWidth > one.clientWidth + 1;
    const name = (one) => one.getAttribute("aria-label") ?? one.dataset.figure;
    return {
        page: root.scrollWidth - root.clientWidth,
        cut: [...document.querySelectorAll(".scroll, .plot")].filter(wide).map(name),
        small: [...document.querySelectorAll("main *")].filter((one) =>
            one.checkVisibility() && one.childNodes.length && !one.closest("svg, sup, sub")
            && parseFloat(getComputedStyle(one).fontSize) < 11).map((one) => one.outerHTML),
    };
}"""
# How much smaller than drawn a figure is shown, and by how much it is wider than its place.
FIGURE_SCALES = """() => Object.fromEntries([...document.querySelectorAll(".plot")].map((plot) => {
    const drawn = plot.querySelector(".live svg, .live canvas");
    const shown = drawn.getBoundingClientRect();
    const whole = drawn.viewBox?.baseVal.width ?? drawn.width / window.devicePixelRatio;
    // Of a canvas the pixels that are not white, in hundreds.
    const pixels = () => drawn.getContext("2d").getImageData(0, 0, drawn.width, drawn.height).data
        .reduce((sum, value, at) => sum + (at % 4 === 0 && value < 250), 0) / 100;
    const marks = drawn.matches("svg") ? drawn.querySelectorAll("path, text").length : pixels();
    const label = drawn.getAttribute("aria-label");
    return [plot.dataset.figure,
        [shown.width / whole, shown.right - plot.getBoundingClientRect().right, marks, label]];
}))"""
CONTRAST = """() => {
    const light = (text) => {
        const [r, g, b] = text.match(/[\\d.]+/g).map((part) => {
            const value = part / 255;
            return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = light(getComputedStyle(document.querySelector("section")).backgroundColor);
    const ratio = (one) => {
        const ink = light(getComputedStyle(one).color);
        return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
    };
    const told = [...document.querySelectorAll("main p, main th, main td, main a, main summary")];
    return [ground, Math.min(...told.filter((one) => one.checkVisibility()).map(ratio))];
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return records.shared_report(tmp_path_factory)


@pytest.fixture(scope="module")
def wide(report, tmp_path_factory):
    """The same page with names too long and a table of more columns than fit anywhere."""
    page = report.read_text(encoding="utf-8")
    heads = "".join(f'<th class="n">quantity {number}</th>' for number in range(COLUMNS))
    cells = "".join(f'<td class="n">{number}.123456</td>' for number in range(COLUMNS))
    rows = f"<tbody><tr>{cells}</tr></tbody>"
    table = readable(f"<table><thead><tr>{heads}</tr></thead>{rows}</table>")
    region = '<div class="scroll" role="region" aria-label="many columns">'
    added = f'<section id="many">{region}{table}</div></section>\n</main>'
    body, end, rest = page.partition("</main>")
    head, main, body = body.partition("<main")
    body = re.sub(r">([^<>]*)<", lambda text: text.group().replace("encyclopedia", LONG), body)
    assert end and main and LONG in body
    body = breakable(body)
    out = tmp_path_factory.mktemp("wide") / "report.html"
    out.write_text(head + main + body + added + rest, encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        options = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        browser = started.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def shown(browser):
    """Open pages; at the end nothing may have been written to the console."""
    said, contexts = [], []

    def show(path, width, theme="light", height=900):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield show
    for context in contexts:
        context.close()
    assert said == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_toggle_opens_and_nothing_is_wider_than_its_place(report, shown, width, theme):
    page = shown(report, width, theme)
    assert page.evaluate(OPEN) == []
    assert page.evaluate(OVERFLOW) == {"page": 0, "cut": [], "small": []}
    ground, least = page.evaluate(CONTRAST)
    assert (ground < 0.1) == (theme == "dark")
    # What WCAG asks of text, level AA.
    assert least >= 4.5


@pytest.mark.parametrize("width", WIDTHS)
def test_long_names_and_many_columns_stay_inside(wide, shown, width):
    page = shown(wide, width)
    assert page.evaluate(OPEN) == []
    found = page.evaluate(OVERFLOW)
    assert found["page"] == 0
    # Thirty columns scroll inside their own region, by keys too; a narrow screen makes cards.
    assert found["cut"] == (["many columns"] if width == 1400 else [])
    region = page.locator('[aria-label="many columns"]')
    if width == 1400:
        page.wait_for_selector('[aria-label="many columns"][tabindex="0"]')
        region.focus()
        assert region.evaluate("one => one === document.activeElement")
    else:
        assert (
            region.locator("td").first.evaluate("one => getComputedStyle(one).display") == "block"
        )


@pytest.mark.parametrize(("width", "theme"), [(500, "dark"), (1400, "light")])
def test_every_figure_is_drawn_at_a_size_one_can_read(report, shown, width, theme):
    page = shown(report, width, theme, height=12_000)
    for name in FIGURES:
        page.wait_for_selector(f'.plot.drawn[data-figure="{name}"]')
    found = page.evaluate(FIGURE_SCALES)
    assert list(found) == list(FIGURES)
    for name, (scale, over, marks, label) in found.items():
        assert 0.85 <= scale <= 1.01, name
        assert over <= 1, name
        assert marks > 20 and label, name
    filters = page.evaluate(
        "() => getComputedStyle(document.querySelector('.plot .live svg')).filter"
    )
    assert ("invert" in filters) == (theme == "dark")
    # On paper the still picture stands, on white.
    page.emulate_media(media="print", color_scheme=theme)
    seen = page.evaluate(
        "() => ['.still', '.live', 'nav'].map((name) => "
        "document.querySelector(name).checkVisibility())"
    )
    assert seen == [True, False, False]
    assert page.evaluate("() => document.querySelector('.still').naturalWidth") > 100


def test_a_figure_waits_until_it_is_near(report, shown):
    page = shown(report, 1400)
    last = page.locator(".plot").last
    page.wait_for_selector(".still[src]", state="attached")
    assert last.locator(".live").count() == 0
    last.scroll_into_view_if_needed()
    last.locator(".live svg, .live canvas").wait_for()


def test_every_link_leads_somewhere_and_opens_what_it_leads_to(report, shown):
    page = shown(report, 1400)
    links = page.evaluate(
        "() => [...document.querySelectorAll('a')].map((a) => a.getAttribute('href'))"
    )
    assert len(links) > 20
    assert all(link.startswith("#") for link in links)
    missing = page.evaluate(
        "(links) => links.filter((link) => !document.getElementById(link.slice(1)))", links
    )
    assert missing == []
    cell = page.locator('#answer a[href^="#cell-"]').first
    row = page.locator(cell.get_attribute("href"))
    assert not row.is_visible()
    cell.click()
    row.wait_for()


def test_the_page_can_be_walked_by_keys_and_heard(report, shown):
    page = shown(report, 1400)
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    outline = "() => getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) != "none"
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "main"
    tags = page.evaluate(
        "() => [...document.querySelectorAll('h1, h2, h3, h4')].map((one) => one.tagName)"
    )
    levels = [int(tag[1]) for tag in tags]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for landmark in ("header", "nav[aria-label]", "main", "footer"):
        assert page.locator(landmark).count() == 1
    parts = ("img:not([alt])", "main th:not([scope])", ".scroll:not([aria-label])")
    unnamed = [*parts, "svg[role=img]:not([aria-label])"]
    assert page.locator(", ".join(unnamed)).count() == 0
