"""States of trunks are dropped when no study lists them, and never while somebody may need them."""

from pathlib import Path

import pytest

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, write_json
from scalebed.core.provenance import canonical_json
from scalebed.core.trunk_files import list_states, listed_states, state_folders, states_of
from scalebed.core.trunks import Leg, Trunk
from scalebed.train.checkpoint import open_state
from scalebed.train.dropped_states import drop_states

ONE, OTHER = Trunk("tales", "6k", 0, "a" * 16), Trunk("tales", "8k", 0, "b" * 16)


class Place:
    """Folders as a study leaves them."""

    def __init__(self, root: Path) -> None:
        self.root, self.trunks = root, root / "results/trunks"
        self.studies, self.state = root / "results/studies", root / "state"

    def put(self, trunk: Trunk, step: int, kin: str = "kin") -> Path:
        folder = self.trunks / trunk.path / f"step={step}"
        write_json(folder / "state.json", {"lineage": kin, "status": "done"})
        (folder / f"step-{step:09d}.safetensors").write_bytes(bytes(100))
        (folder / f"step-{step:09d}.sha256").write_text("sum")
        return folder

    def drop(self, states: dict[Trunk, list[int]], study: str = "tiny") -> dict:
        params = {"study": study, "states": {trunk.path: at for trunk, at in states.items()}}
        out = self.studies / study / "dropped_states.json"
        drop_states(params, self.trunks, self.studies, out, self.state)
        return read_json(out)

    def left(self) -> set[tuple[str, int]]:
        return {
            (folder.parent.name[6:7], int(folder.name[5:])) for folder in state_folders(self.trunks)
        }


@pytest.fixture
def place(tmp_path):
    found = Place(tmp_path)
    for step in (10, 20, 40):
        found.put(ONE, step)
    found.put(OTHER, 10)
    return found


def test_what_no_study_lists_is_dropped(place):
    list_states(place.studies / "elsewhere", {ONE.path: [20]})
    record = place.drop({ONE: [40]})
    assert place.left() == {("a", 20), ("a", 40)}
    assert record["dropped"] == [f"{ONE.path}/step=10", f"{OTHER.path}/step=10"]
    assert record["bytes"] > 200
    # Empty folders go too; those of others stay.
    assert not (place.trunks / OTHER.path).parents[1].exists()
    assert sorted(path.name for path in place.studies.iterdir()) == ["elsewhere", "tiny"]
    assert place.drop({ONE: [40]})["dropped"] == []


def test_a_study_that_is_gone_keeps_nothing(place):
    list_states(place.studies / "elsewhere", {OTHER.path: [10]})
    place.drop({ONE: [10, 20, 40]})
    assert place.left() == {("a", 10), ("a", 20), ("a", 40), ("b", 10)}
    (place.studies / "elsewhere/trunks.json").unlink()
    place.drop({ONE: [10, 20, 40]})
    assert place.left() == {("a", 10), ("a", 20), ("a", 40)}


def test_a_trunk_that_is_being_trained_is_left_alone(place):
    kin = place.state / "trunks" / ONE.path / "kin"
    with open_state(kin):
        record = place.drop({})
    assert record["left_while_training"] == [f"{ONE.path}/step={n}" for n in (10, 20, 40)]
    assert place.left() == {("a", 10), ("a", 20), ("a", 40)}
    # On other data too: the lock has another name then.
    with open_state(kin.with_name("other")):
        assert len(place.drop({})["left_while_training"]) == 3
    assert place.left() == {("a", 10), ("a", 20), ("a", 40)}
    kin.mkdir(exist_ok=True, parents=True)
    (kin / "attempts.json").write_text("1")  # interrupted, to be resumed
    assert len(place.drop({})["dropped"]) == 3
    assert (kin / "attempts.json").exists()


def test_locks_leave_no_folders_behind(place):
    place.drop({ONE: [40]})
    assert not list(place.state.rglob("kin"))


def test_only_folders_of_states_go_and_links_are_not_followed(place, tmp_path):
    precious = tmp_path / "precious"
    (precious / "step=5").mkdir(parents=True)
    write_json(precious / "step=5/state.json", {"lineage": "kin"})
    (precious / "file").write_text("mine")
    trunk = place.trunks / ONE.path
    (trunk / "step=7").symlink_to(precious / "step=5")
    trunk.with_name("trunk=cc").symlink_to(precious)
    (trunk / "step=10/link").symlink_to(precious)
    for name in ("step=8", "step=x", "notes"):
        (trunk / name).mkdir()
        (trunk / name / "file").write_text("mine")
    write_json(trunk / "step=x/state.json", {"lineage": "kin"})
    assert len(place.drop({})["dropped"]) == 4
    assert (precious / "file").read_text() == "mine"
    assert (precious / "step=5/state.json").is_file()
    assert (trunk / "step=7").is_symlink()
    assert {path.name for path in trunk.iterdir()} == {"step=7", "step=8", "step=x", "notes"}


def test_a_state_without_a_record_is_one_and_a_broken_record_stops_nothing(place):
    (place.trunks / ONE.path / "step=10/state.json").unlink()
    (place.trunks / ONE.path / "step=20/state.json").write_text("{")
    assert len(place.drop({OTHER: [10]})["dropped"]) == 3
    assert place.left() == {("b", 10)}


@pytest.mark.parametrize("text", ["{", "[]", '{"states": [1]}', '{"states": {"a": 1}}'])
def test_nothing_is_dropped_while_a_list_cannot_be_read(place, text):
    (place.studies / "elsewhere").mkdir(parents=True)
    (place.studies / "elsewhere/trunks.json").write_text(text)
    with pytest.raises(ScalebedError, match=r"trunks\.json"):
        place.drop({})
    assert len(place.left()) == 4


def test_the_last_state_of_each_trunk():
    pieces = [Leg(ONE, 0, 10, {}), Leg(ONE, 10, 40, {}), Leg(OTHER, 0, 20, {})]
    assert states_of(pieces) == {ONE.path: [10, 40], OTHER.path: [20]}
    assert states_of(pieces, "last") == {ONE.path: [40], OTHER.path: [20]}


def test_the_command_does_the_same(place, monkeypatch):
    monkeypatch.chdir(place.root)
    out = "results/studies/tiny/dropped_states.json"
    words = ["--trunks", "results/trunks", "--studies", "results/studies", "--out", out]
    params = canonical_json({"study": "tiny", "states": {ONE.path: [10, 20]}})
    assert main(["drop-states", "--params", params, *words]) == 0
    assert place.left() == {("a", 10), ("a", 20)}
    assert listed_states(place.studies) == {f"{ONE.path}/step=10", f"{ONE.path}/step=20"}
