"""Everything at rest is compared with what vouches for it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from scalebed.core import at_rest
from scalebed.core.at_rest import adopt, examine
from scalebed.core.digests import digest_path
from scalebed.core.files import write_json, write_text

CELL = "results/cells/dataset=a/size=b/ratio=2/recipe=c/seed=0"
OTHER = "results/cells/dataset=a/size=b/ratio=4/recipe=c/seed=0"
TRUNK = "results/trunks/dataset=a/size=b/seed=0/trunk=0123456789abcdef/step=4"


def sha256(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


@pytest.fixture
def root(tmp_path) -> Path:
    """Return a folder with a little of everything that vouches for something."""
    for cell in (CELL, OTHER):
        write_json(tmp_path / cell / "losses.json", {"loss": 3.0})
        write_text(tmp_path / cell / "model.safetensors", "weights", digest=False)
        record = {"weights_sha256": sha256("weights"), "curve_rows": 3}
        write_json(tmp_path / cell / "metrics.json", record)
    tokens = tmp_path / "results/tokens/bpe/a"
    write_text(tokens / "train-00000.bin", "one", digest=False)
    write_text(tokens / "train-00001.bin", "two", digest=False)
    shards = [
        {"name": f"train-{index:05d}.bin", "bytes": 3, "sha256": sha256(content)}
        for index, content in enumerate(("one", "two"))
    ]
    write_json(tokens / "manifest.json", {"splits": {"train": {"shards": shards}}})
    source = {
        "manifest": "../../tokens/bpe/a/manifest.json",
        "manifest_sha256": hashlib.sha256((tokens / "manifest.json").read_bytes()).hexdigest(),
    }
    write_json(tmp_path / "results/datasets/a/manifest.json", {"sources": [source]})
    write_text(tmp_path / TRUNK / "step-000000004.safetensors", "state", digest=False)
    write_text(tmp_path / TRUNK / "step-000000004.sha256", sha256("state") + "\n", digest=False)
    write_json(tmp_path / TRUNK / "state.json", {"status": "done"})
    parts = tmp_path / "state/dataset=a/size=b/ratio=2/recipe=c/seed=0/0123/step-000000002.dcp"
    write_text(parts / "__0_0.distcp", "part", digest=False)
    write_text(parts / ".metadata", "about", digest=False)
    sums = {"__0_0.distcp": sha256("part"), ".metadata": sha256("about")}
    write_json(parts / "sums.json", {"facts": {}, "sha256": sums})
    (parts.parent / "lock").touch()
    study = tmp_path / "results/studies/tiny"
    write_text(study / "cells.tsv", f"cell\n{CELL.removeprefix('results/cells/')}\n")
    write_text(study / "study.duckdb", "numbers")
    return tmp_path


def test_what_is_whole_is_counted_and_nothing_said(root):
    account = examine(root)
    assert account.faults == []
    assert account.unchecked == []
    # Two cells of three files, three files of tokens, a data set, two of a trunk, three of parts of
    # a checkpoint and two of a study; what a trunk's state has beside it is a digest.
    assert account.checked == 2 * 3 + 3 + 1 + 2 + 3 + 2
    assert account.bytes == sum(
        path.stat().st_size
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".sha256"
    )


@pytest.mark.parametrize(
    ("name", "more"),
    [
        (f"{CELL}/losses.json", []),
        (f"{CELL}/metrics.json", []),
        (f"{CELL}/model.safetensors", [f"{CELL}/metrics.json"]),
        ("results/tokens/bpe/a/train-00001.bin", ["results/tokens/bpe/a/manifest.json"]),
        ("results/tokens/bpe/a/manifest.json", []),
        ("results/datasets/a/manifest.json", []),
        (
            f"{TRUNK}/step-000000004.safetensors",
            [f"{TRUNK}/state.json", f"{TRUNK}/step-000000004.sha256"],
        ),
        ("results/studies/tiny/study.duckdb", []),
    ],
)
def test_another_byte_is_found_and_only_it(root, name, more):
    path = root / name
    content = path.read_bytes()
    path.write_bytes(content[:-3] + b"?" + content[-2:])
    (fault,) = examine(root).faults
    assert fault.path == path
    assert fault.what.startswith("is not what was written: it has SHA-256 ")
    assert fault.delete == [path, *(root / file for file in more)]


def test_a_part_of_a_checkpoint_is_found_by_the_sums_beside_it(root):
    (path,) = root.glob("state/**/.metadata")
    path.write_text("other", encoding="utf-8")
    (fault,) = examine(root).faults
    assert fault.delete == [path, path.with_name("sums.json")]


def test_the_digest_of_a_state_is_to_be_deleted_with_it(root):
    path = root / TRUNK / "step-000000004.sha256"
    path.write_text("nonsense", encoding="utf-8")
    (fault,) = examine(root).faults
    assert fault.path == path.with_suffix(".safetensors")
    assert path in fault.delete


def test_a_damaged_digest_is_found_by_its_own_name(root):
    for change in (b"", b"\0" * 150, b"%s  losses.json\n" % (b"0" * 64)):
        path = digest_path(root / CELL / "losses.json")
        whole = path.read_bytes()
        path.write_bytes(change + whole[len(change) :] if b"l" in change else change)
        (fault,) = examine(root).faults
        assert (fault.path, fault.delete) == (path, [path])
        path.write_bytes(whole)


def test_what_is_vouched_for_and_missing_is_found(root):
    path = root / "results/tokens/bpe/a/train-00001.bin"
    path.unlink()
    (fault,) = examine(root).faults
    assert fault == (path, "is missing", [path, path.with_name("manifest.json")])
    # Tokens as a whole are made again by whoever needs them.
    path.with_name("manifest.json").unlink()
    assert examine(root).faults == []


def test_files_without_a_digest_are_listed_unless_they_are_plainly_broken(root):
    names = ("losses.json", "old.parquet", "notes.txt")
    good, broken = (b'{"loss": 3}', b"PAR1....PAR1", b"?"), (b'{"loss": ', b"PAR1....", b"?")
    for contents, faults in ((good, 0), (broken, 2)):
        for name, content in zip(names, contents, strict=True):
            path = root / OTHER / name
            path.write_bytes(content)
            digest_path(path).unlink(missing_ok=True)
        account = examine(root)
        assert len(account.faults) == faults
        assert [path.name for path in account.unchecked] == sorted(names[faults:])


def test_old_files_can_be_given_digests_as_they_are(root):
    path = root / CELL / "losses.json"
    digest_path(path).unlink()
    adopt(examine(root).unchecked)
    assert examine(root).unchecked == []
    path.write_bytes(b'{"loss": 4}')
    assert [fault.path for fault in examine(root).faults] == [path]


def test_one_study_is_its_cells_and_what_studies_share(root):
    for cell in (CELL, OTHER):
        (root / cell / "losses.json").write_bytes(b"{}")
    write_text(root / "results/studies/other/study.duckdb", "numbers")
    (root / "results/studies/other/study.duckdb").write_text("other", encoding="utf-8")
    assert len(examine(root).faults) == 3
    (fault,) = examine(root, "tiny").faults
    assert fault.path == root / CELL / "losses.json"
    # A list of cells that is gone leaves nothing out.
    (root / "results/studies/tiny/cells.tsv").unlink()
    assert len(examine(root, "tiny").faults) == 2


def test_a_file_replaced_between_two_looks_is_not_damaged(root, monkeypatch):
    path = root / CELL / "model.safetensors"
    vouched: Callable[..., dict] = at_rest._vouched
    looks = []

    def trained_again(files: list[Path]) -> dict:
        found = vouched(files)
        if not looks:
            write_text(path, "better", digest=False)
            record = {"weights_sha256": sha256("better"), "curve_rows": 3}
            write_json(path.with_name("metrics.json"), record)
        looks.append(files)
        return found

    monkeypatch.setattr(at_rest, "_vouched", trained_again)
    assert examine(root).faults == []
    assert len(looks) == 2
