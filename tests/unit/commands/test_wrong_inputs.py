"""A short part of the campaign of wrong inputs: each is done, or refused in one line.

The long one is ``python benchmarks/faults.py inputs``, see docs/reliability.md.
"""

import random
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[3] / "benchmarks/faulted"))

from given import KINDS, Kind
from inputs import DONE, FAULT, REFUSED, answer, campaign, one
from mutations import in_csv

COUNT = 160


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    return list(campaign(tmp_path_factory.mktemp("inputs"), 17, range(COUNT)))


def test_every_wrong_input_has_a_clear_answer(answers):
    assert [answer for answer in answers if answer.what == FAULT] == []


def test_inputs_of_all_kinds_are_refused(answers):
    refused = Counter(answer.kind for answer in answers if answer.what == REFUSED)
    assert set(refused) == {*KINDS}


def raises(path):
    raise ValueError(path.name)


def leaves_half(path):
    path.with_suffix(".json").write_text('{"a": ')
    return 0


def obeys(path):
    sys.stdout.write("\x1b[2J")
    return 0


@pytest.mark.parametrize("read", [raises, leaves_half, obeys, lambda path: 1])
def test_a_fault_would_be_seen(tmp_path, read):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    kind = Kind(("a.csv",), (in_csv,), read)
    assert one(kind, tmp_path, random.Random(0))[0] == FAULT


def test_an_input_that_is_whole_is_done(tmp_path):
    assert answer(Kind((), (), lambda path: 0), str(tmp_path)) == (DONE, "")
