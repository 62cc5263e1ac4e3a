"""A short part of the campaign of damages: every one is named, and no number changes silently.

The long one is ``python benchmarks/faults.py corruptions``, see docs/reliability.md.
"""

import sys
from collections import Counter
from pathlib import Path

import pytest
from project import REPOSITORY, Project

sys.path.append(str(REPOSITORY / "benchmarks/faulted"))

from corruptions import SILENT, Trial, campaign
from damage import NAMES

COUNT = 200


@pytest.fixture(scope="module")
def trials(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    """Return what came of damages to the tiny study."""
    work: Path = tmp_path_factory.mktemp("corruptions")
    return [trial for _, trial in campaign(finished.root, work, 17, range(COUNT))]


def test_every_damage_is_named_and_none_changes_a_number(trials: list[Trial]) -> None:
    missed = [trial for trial in trials if not trial.named or trial.read == SILENT]
    assert missed == []


def test_the_damages_are_of_all_ways_and_many_kinds(trials: list[Trial]) -> None:
    assert set(Counter(trial.way for trial in trials)) == set(NAMES)
    assert len({trial.kind for trial in trials}) > 40
    refused = sum(trial.read in ("refused", "made again") for trial in trials)
    assert refused > COUNT / 4
