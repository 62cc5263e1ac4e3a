"""A card says the terms of a text in its own line, whatever they are."""

import hostile_texts

from scalebed.core.cells import Cell, results_of
from scalebed.core.files import write_json
from scalebed.evaluate.card import _texts


def test_terms_of_a_text_are_no_markup_and_begin_no_line(tmp_path):
    cell = tmp_path / "cells" / Cell("d", "s", 2, "r", 0).path
    sources = [{"corpus": "c", "weight": 1.0}]
    write_json(tmp_path / "datasets" / "d" / "manifest.json", {"sources": sources})
    facts = {"licence": hostile_texts.MARKDOWN, "credit": "a\n# forged\x1b[2J"}
    write_json(tmp_path / "corpora" / "c" / "manifest.json", facts)
    assert results_of(cell) == tmp_path
    (line,) = _texts(cell, "d")
    assert line.endswith(rf"licence: `{hostile_texts.MARKDOWN}`. `a\n# forged\x1b[2J`")


def test_a_cell_that_lies_in_no_results_has_no_text(tmp_path):
    assert results_of(tmp_path.parents[-1] / "a" / "b") is None
    assert _texts(tmp_path.parents[-1] / "a" / "b", "d") == []
