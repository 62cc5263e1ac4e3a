"""The version stands in three files, which have to agree before anything is released."""

import re
from pathlib import Path

import yaml

import scalebed

ROOT = Path(__file__).parents[3]


def test_package_citation_and_changelog_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == scalebed.__version__
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *released = re.findall(r"(?m)^## \[(.+?)\]", text)
    assert first == "Unreleased"
    # Before the first release there is none.
    assert released[:1] in ([], [scalebed.__version__])
    # Only a release has a day.
    assert ("date-released" in citation) == bool(released)
