"""Files: whole or not at all, and told in a sentence when they are broken."""

import errno
import json
import os
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scalebed.core import files
from scalebed.core.errors import ScalebedError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_with_its_folder(tmp_path):
    target = tmp_path / "deep" / "down" / "a.txt"
    with files.atomic_path(target) as temporary:
        temporary.write_text("half", encoding="utf-8")
        assert not target.exists()
        assert temporary.parent == target.parent
        temporary.write_text("whole", encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "whole"
    assert names(target.parent) == ["a.txt"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    files.write_text(target, "old")
    with pytest.raises(ZeroDivisionError), files.atomic_path(target) as temporary:
        temporary.write_text("new", encoding="utf-8")
        raise ZeroDivisionError
    assert target.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    target = tmp_path / "a.txt"
    files.write_text(target, "old")
    # The device on which every write fails for want of space.
    with (
        pytest.raises(ScalebedError, match=r"cannot write .*a\.txt: No space left on device"),
        files.atomic_path(target) as temporary,
        Path("/dev/full").open("w", encoding="utf-8") as full,
    ):
        temporary.write_text("new", encoding="utf-8")
        full.write("new")
    assert target.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_failing_flush_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ScalebedError, match="No space left on device"):
        files.write_json(tmp_path / "a.json", {"a": 1})
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(ScalebedError, match=r"cannot write .*taken/a\.json"):
        files.write_json(tmp_path / "taken" / "a.json", {})


def test_json_is_canonical_and_refuses_nan(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"b": 1, "a": ["ä", None]})
    assert path.read_text(encoding="utf-8") == '{\n "a": [\n  "ä",\n  null\n ],\n "b": 1\n}\n'
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(path, {"a": float("nan")})
    assert path.read_bytes() == before
    assert files.read_json(path) == {"a": ["ä", None], "b": 1}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1', ["not valid JSON", "truncated"]),
        (b"", ["not valid JSON"]),
        (b'{"a": "\xff"}', ["not UTF-8 text", "byte 7"]),
        (b"[" * 100_000, ["not JSON that can be read", "recursion"]),
        (b"9" * 5000, ["not JSON that can be read", "4300 digits"]),
    ],
    ids=lambda value: str(value[:9]),
)
def test_broken_json_is_named(tmp_path, content, words):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ScalebedError) as caught:
        files.read_json(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_missing_json_is_named(tmp_path):
    with pytest.raises(ScalebedError, match=r"cannot read .*a\.json: No such file"):
        files.read_json(tmp_path / "a.json")


def test_parquet_is_the_same_to_the_byte_each_time(tmp_path):
    table = pa.table({"step": list(range(1000)), "loss": [1 / (1 + i) for i in range(1000)]})
    for name in ("a.parquet", "b.parquet"):
        files.write_parquet(tmp_path / name, table)
    assert pq.read_table(tmp_path / "a.parquet").equals(table)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(0).compression == (
        "ZSTD"
    )


def test_checksums_are_those_of_sha256(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert files.sha256_file(path) == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    path.write_bytes(b"a" * 1_000_000)
    # FIPS 180-2, appendix B.3.
    assert files.sha256_file(path) == (
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    )


def test_quarantine_sets_the_manifest_aside(tmp_path):
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"a": 1}), encoding="utf-8")
    with pytest.raises(ScalebedError, match=r"shard is short.*run again to rebuild"):
        files.quarantine(manifest, "shard is short")
    assert names(tmp_path) == ["manifest.json.bad"]
    # A second reader may come to the same conclusion while the first one acts on it.
    with pytest.raises(ScalebedError, match="shard is short"):
        files.quarantine(manifest, "shard is short")


def read_only(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_disk_that_becomes_read_only_meanwhile_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", read_only)
    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(ScalebedError, match=r"cannot write .*a\.json: Read-only file system"):
        files.write_json(tmp_path / "a.json", {"a": 1})


def test_a_manifest_that_cannot_be_set_aside_is_to_be_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "replace", read_only)
    manifest = tmp_path / "manifest.json"
    said = rf"shard is short; delete {manifest} and run again, .*: Read-only file system"
    with pytest.raises(ScalebedError, match=said):
        files.quarantine(manifest, "shard is short")
