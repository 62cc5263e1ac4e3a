"""What a killed process left on its way goes with the next write; that of a living one stays."""

import multiprocessing
import os
import signal
from pathlib import Path

from scalebed.core import aside
from scalebed.core.files import atomic_path, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def die_in(block) -> None:
    process = multiprocessing.get_context("fork").Process(target=block)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def write_and_die(target: Path) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text("half", encoding="utf-8")
        os.kill(os.getpid(), signal.SIGKILL)


def spill_and_die(folder: Path) -> None:
    with aside.folder_in(folder, ".spill.") as path:
        (path / "part").write_text("half", encoding="utf-8")
        os.kill(os.getpid(), signal.SIGKILL)


def digest_and_die(target: Path) -> None:
    with aside.file_beside(target.with_name(f".{target.name}.sha256")):
        os.kill(os.getpid(), signal.SIGKILL)


def test_the_next_write_removes_what_a_killed_one_left(tmp_path):
    target = tmp_path / "results" / "a.txt"
    for dies in (write_and_die, write_and_die, digest_and_die):
        die_in(lambda dies=dies: dies(target))
    assert len(names(target.parent)) == 2  # the second write removed what the first had left
    write_text(target, "whole")
    assert names(target.parent) == [".a.txt.sha256", "a.txt"]


def test_what_a_living_writer_holds_stays(tmp_path):
    target = tmp_path / "a.txt"
    with atomic_path(target) as ours:
        ours.write_text("first", encoding="utf-8")
        log = ours.with_name(f"{ours.name}.wal")
        log.touch()
        write_text(target, "second")
        assert ours.read_text(encoding="utf-8") == "first"
        assert log.exists()
    assert target.read_text(encoding="utf-8") == "first"
    write_text(target, "third")
    assert names(tmp_path) == ["a.txt"]


def test_only_its_own_is_removed(tmp_path):
    others = [".a.txt.backup", ".a.txt.longer_than_that", ".b.txt.aaaaaaaa", "a.txt.aaaaaaaa"]
    for name in others:
        (tmp_path / name).touch()
    write_text(tmp_path / "a.txt", "whole")
    assert names(tmp_path) == sorted([*others, "a.txt"])


def test_a_folder_goes_at_its_end_or_with_the_next(tmp_path):
    die_in(lambda: spill_and_die(tmp_path))
    (left,) = names(tmp_path)
    with aside.folder_in(tmp_path, ".spill.") as path:
        assert names(tmp_path) == [path.name] != [left]
        (path / "part").touch()
    assert names(tmp_path) == []


def test_a_disk_without_locks_loses_nothing(tmp_path, monkeypatch):
    def refuse(handle: int, how: int) -> None:
        raise OSError

    left = tmp_path / ".a.txt.aaaaaaaa"
    left.touch()
    monkeypatch.setattr(aside.fcntl, "flock", refuse)
    write_text(tmp_path / "a.txt", "whole")
    assert names(tmp_path) == [left.name, "a.txt"]


def test_one_that_is_removed_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    made, open_ = [], aside._open

    def remove_the_first(path: Path) -> int:
        handle = open_(path)
        made.append(path)
        if len(made) == 1:
            path.unlink()
        return handle

    monkeypatch.setattr(aside, "_open", remove_the_first)
    with aside.file_beside(tmp_path / "a.txt") as path:
        assert path == made[1]
        assert path.exists()
