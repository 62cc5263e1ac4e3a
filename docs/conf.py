"""The site of the documentation: ``make docs``.

The pages are the Markdown files of the repository, read where they lie, so that their links lead to
the same places here and on GitHub. What is not on a page (a study file, a module) is copied into
the site when a page links to it.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the tests read the names of the pages where Sphinx is not installed
    from sphinx.application import Sphinx

NAVIGATION = {
    "Start": ["Overview <self>", "docs/install", "docs/corpora", "docs/tasks", "docs/reruns"],
    "Plan and decide": ["docs/decide", "docs/suggest", "docs/isoflop", "docs/watch"],
    "Bring your runs": ["docs/fit", "docs/tables", "docs/import", "docs/tracking"],
    "Run on a cluster": ["docs/cluster", "docs/distributed", "docs/open_lm"],
    "How it works": [
        *("docs/laws", "docs/uncertainty", "docs/tournament", "docs/trunks", "docs/evidence"),
        *("docs/search", "docs/speed", "docs/export", "docs/reliability", "docs/zoo"),
    ],
    "Reference": [
        *("config/README", "docs/results"),
        *("CONTRIBUTING", "docs/releasing", "SECURITY", "CHANGELOG"),
    ],
}

project = "scalebed"
author = "scalebed authors"
copyright = f"2026 {author}"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "config/*.md"]
# What is large and holds no page is not even looked through.
exclude_patterns = [".*", "build", "results", "site", "state"]
myst_heading_anchors = 6
html_theme = "furo"
html_title = "scalebed"
html_copy_source = False
html_show_sphinx = False
html_use_index = False
# Formulas and options are written as they are meant.
smartquotes = False


def add_navigation(app: "Sphinx", page: str, source: list[str]) -> None:
    """Append the navigation to the first page, which on GitHub has none."""
    if page == root_doc:
        for caption, pages in NAVIGATION.items():
            options = f":hidden:\n:caption: {caption}\n"
            source[0] += f"\n```{{toctree}}\n{options}\n" + "\n".join(pages) + "\n```\n"


def name_first_page(app: "Sphinx", error: Exception | None) -> None:
    """Give the first page, which is called as its file, the name that servers look for."""
    if error is None:
        folder = Path(app.outdir)
        shutil.copyfile(folder / f"{root_doc}.html", folder / "index.html")


def setup(app: "Sphinx") -> None:
    """Connect the two functions above."""
    app.connect("source-read", add_navigation)
    app.connect("build-finished", name_first_page)
