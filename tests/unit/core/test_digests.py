"""Digests beside files: what is read is what was written."""

import hashlib
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from short_files import short_files

from scalebed.core import digests, files
from scalebed.core.digests import digest_path, intact, recorded, remember
from scalebed.core.errors import ScalebedError
from scalebed.core.remedies import remedy
from scalebed.tables.arrow import read_parquet


@pytest.fixture
def record(tmp_path) -> Path:
    """Return a record of a cell as it was written."""
    path = tmp_path / "results/cells/one/metrics.json"
    files.write_json(path, {"loss": 3.25})
    return path


def damage(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


def test_a_file_of_a_study_has_a_digest_that_others_can_check(record):
    beside = record.parent / ".metrics.json.sha256"
    digest = hashlib.sha256(b'{\n "loss": 3.25\n}\n').hexdigest()
    assert beside.read_text() == f"{digest}  metrics.json\n" * 2
    check = ["sha256sum", "--check", "--strict", beside.name]
    subprocess.run(check, cwd=record.parent, check=True, capture_output=True)
    assert files.read_json(record) == {"loss": 3.25}


def test_a_file_of_somebody_else_has_none(tmp_path):
    files.write_json(tmp_path / "fits.json", {})
    assert [path.name for path in tmp_path.iterdir()] == ["fits.json"]


def test_one_that_another_file_vouches_for_has_none(record):
    files.write_text(record, "shard", digest=False)
    assert recorded(record) is None
    assert files.read_text(record) == "shard"


@pytest.mark.parametrize("read", [files.read_json, files.read_text, intact])
def test_another_digit_is_told_with_the_file_and_what_to_delete(record, read):
    damage(record, b"3.25", b"3.35")
    said = (
        rf"metrics\.json is not what was written: it has SHA-256 [0-9a-f]{{12}}…, expected "
        rf"[0-9a-f]{{12}}…; delete {record} and run again$"
    )
    with pytest.raises(ScalebedError, match=said):
        read(record)


def test_a_file_of_before_there_were_digests_is_read_as_it_is(record):
    digest_path(record).unlink()
    damage(record, b"3.25", b"3.35")
    assert files.read_json(record) == {"loss": 3.35}
    # What was lost with the power is none either.
    digest_path(record).touch()
    assert files.read_json(record) == {"loss": 3.35}


def test_a_damaged_digest_is_not_taken_for_a_damaged_file(record):
    beside = digest_path(record)
    whole = beside.read_bytes()
    beside.write_bytes(b"0" + whole[1:] if whole[:1] != b"0" else b"1" + whole[1:])
    assert files.read_json(record) == {"loss": 3.25}
    beside.write_bytes(bytes(len(whole)))
    said = rf"{beside}, the digest of metrics\.json, is damaged; delete {beside} and run again"
    with pytest.raises(ScalebedError, match=said):
        files.read_json(record)


def test_the_digest_of_another_file_is_a_damaged_one(record):
    other = record.with_name("losses.json")
    files.write_json(other, {"loss": 3.5})
    digest_path(other).replace(digest_path(record))
    with pytest.raises(ScalebedError, match=r"the digest of metrics\.json, is damaged"):
        files.read_json(record)


def test_a_new_file_has_a_new_digest_and_none_while_it_comes(record):
    with files.atomic_path(record) as temporary:
        temporary.write_text("{}", encoding="utf-8")
        assert files.read_json(record) == {"loss": 3.25}
    assert files.read_json(record) == {}
    assert sorted(path.name for path in record.parent.iterdir()) == [
        ".metrics.json.sha256",
        "metrics.json",
    ]


def test_whoever_reads_while_a_file_is_replaced_reads_it_again(record, monkeypatch):
    read = Path.read_bytes
    late = []

    def replaced(path: Path) -> bytes:
        content = read(path)
        if path == record and not late:
            late.append(path)
            files.write_json(record, {"loss": 2.5})
        return content

    monkeypatch.setattr(Path, "read_bytes", replaced)
    assert files.read_json(record) == {"loss": 2.5}
    assert late


def test_a_digest_is_withdrawn_if_another_process_replaced_the_file(record):
    inode = record.stat().st_ino
    files.write_json(record.with_name("new.json"), {"loss": 2.5})
    record.with_name("new.json").replace(record)
    remember(record, "0" * 64, inode)
    assert recorded(record) is None


def test_a_digest_that_cannot_be_written_is_told_and_leaves_nothing(record):
    with (
        short_files(100),
        pytest.raises(ScalebedError, match=r"cannot write .*metrics\.json: File too large"),
    ):
        files.write_json(record, {"loss": 3.5})
    assert [path.name for path in record.parent.iterdir()] == ["metrics.json"]
    assert files.read_json(record) == {"loss": 3.5}


def test_a_file_is_read_once_for_its_digest(record, monkeypatch):
    intact(record)
    monkeypatch.setattr(digests, "sha256_file", None)
    assert intact(record) == record


def test_a_page_of_a_table_is_checked_without_a_digest(tmp_path):
    path = tmp_path / "table.parquet"
    files.write_parquet(path, pa.table({"loss": [3.25 + index / 7 for index in range(500)]}))
    assert read_parquet(path).num_rows == 500
    start = pq.read_metadata(path).row_group(0).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start + 200] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        ScalebedError, match=r"cannot read .*table\.parquet as parquet: .*delete it"
    ):
        read_parquet(path)


STUDY = "results/studies/tiny"


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("results/cells/a/b/losses.json", []),
        ("results/cells/a/b/model.json", ["results/cells/a/b/metrics.json"]),
        ("results/cells/a/b/model.safetensors", ["results/cells/a/b/metrics.json"]),
        ("results/corpora/a/documents.parquet", ["results/corpora/a/manifest.json"]),
        ("results/corpora/a/manifest.json", []),
        (
            "results/imports/testbed/exp_data/evals/a.json",
            ["results/imports/testbed/manifest.json"],
        ),
        (
            "results/trunks/a/step=4/step-000000004.safetensors",
            [
                "results/trunks/a/step=4/state.json",
                "results/trunks/a/step=4/step-000000004.sha256",
            ],
        ),
        ("results/trunks/a/step=4/kept.json", []),
        (f"{STUDY}/tables/losses.parquet", [f"{STUDY}/study.duckdb"]),
        (f"{STUDY}/judged.parquet", [f"{STUDY}/study.duckdb"]),
        (f"{STUDY}/search/runs.parquet", [f"{STUDY}/search/ladder.yaml"]),
        (f"{STUDY}/search/ladder.yaml", []),
        (f"{STUDY}/explored/laws.parquet", [f"{STUDY}/report.html"]),
        (f"{STUDY}/figures/loss.png", [f"{STUDY}/figures/loss.svg"]),
        (f"{STUDY}/figures/vega.js", [f"{STUDY}/report.html"]),
        (f"{STUDY}/study.duckdb", []),
        ("state/evaluations/0a/b.json", []),
        ("elsewhere/model.json", []),
    ],
)
def test_what_to_delete_names_a_file_that_a_run_asks_for(path, more):
    assert remedy(Path(path)) == [Path(path), *map(Path, more)]
    assert remedy(Path("/data/results") / path) == [
        Path("/data/results") / name for name in (path, *more)
    ]


def test_a_seal_is_put_back_from_its_copy_or_not_at_all(tmp_path):
    seal = tmp_path / STUDY / "sealed.json"
    files.write_json(seal, {"study": "tiny"})
    assert remedy(seal) == []
    damage(seal, b"tiny", b"tini")
    with pytest.raises(
        ScalebedError, match=r"bring back a copy of it, for it cannot be made again"
    ):
        files.read_json(seal)
    seal.with_name("sealed.kept").touch()
    assert remedy(seal) == [seal]
