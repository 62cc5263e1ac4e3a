"""Cells that ended without a model are named with their reasons."""

from pathlib import Path

import pytest

from scalebed.core.ended import ended_lines, ended_words, recorded_ends
from scalebed.core.files import write_json


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        ("done", None, "not measured"),
        ("failed", "too few tokens", "failed: too few tokens"),
        ("diverged", None, "diverged: no reason recorded"),
        ("planned", None, "planned"),
    ],
)
def test_a_status_is_said_with_its_reason(status: str, reason: str | None, said: str) -> None:
    assert ended_words(status, reason) == said


def test_records_tell_which_cells_ended(tmp_path: Path) -> None:
    for name, record in {
        "b": {"status": "failed", "reason": "why not"},
        "a": {"status": "diverged", "reason": "loss is nan"},
        "c": {"status": "done", "reason": None},
        "d": ["no record"],
    }.items():
        write_json(tmp_path / name / "metrics.json", record)
    (tmp_path / "e").mkdir()
    (tmp_path / "e/metrics.json").write_text("{")
    ends = list(recorded_ends("abcdef", tmp_path))
    assert [end["cell"] for end in ends] == ["a", "b"]
    head, *named = ended_lines(ends, 6)
    assert head == (
        "2 of 6 cells are without a model and enter no fit; a changed recipe, or deleting "
        "metrics.json, trains anew:"
    )
    # What was imported cannot be trained anew.
    assert ended_lines(ends, 6, trained=False)[0].endswith("and enter no fit:")
    assert named == ["  a: diverged: loss is nan", "  b: failed: why not"]
    assert ended_lines(ends[:1], 6)[0].startswith("1 of 6 cells is without")
    assert ended_lines([], 6) == []


def test_a_reason_of_several_lines_is_one_line() -> None:
    ends = [{"cell": "a\nb", "status": "failed", "reason": "x\n  c: done\x1b[2J"}]
    assert ended_lines(ends, 2)[1:] == [r"  a\nb: failed: x\n  c: done\x1b[2J"]
