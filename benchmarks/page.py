"""How long a report takes to show its first figure, in a real browser.

    python benchmarks/page.py results/studies/default/report.html [--times 5]

Debian's Chromium without a window, 1,400 pixels wide, a new page each time. A figure is shown at
first as a still picture; where it is in sight, the interactive one takes its place.
"""

import argparse
import shutil
import statistics
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_STILL = """() => {
    const one = document.querySelector(".still");
    return one && one.complete && one.naturalWidth > 0;
}"""


def seconds(browser: Browser, report: Path) -> tuple[float, float]:
    """Return the seconds until the first still and the first interactive figure are there."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    began = time.perf_counter()
    page.goto(report.as_uri(), wait_until="commit")
    page.wait_for_function(_STILL)
    still = time.perf_counter() - began
    page.evaluate("() => document.querySelector('.plot').scrollIntoView()")
    page.wait_for_selector(".plot .live svg, .plot .live canvas")
    live = time.perf_counter() - began
    page.close()
    return still, live


def main() -> None:
    """Measure a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("--times", type=int, default=5)
    args = parser.parse_args()
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        raise SystemExit(f"there is no browser: none of {', '.join(_NAMES)}")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path)
        found = [seconds(browser, args.report.resolve()) for _ in range(args.times)]
    for name, column in zip(("still", "interactive"), zip(*found, strict=True), strict=True):
        spread = f"{min(column):.2f} to {max(column):.2f}"
        print(f"first {name} figure: {statistics.median(column):.2f} s ({spread})")
    print(f"{args.report.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
