import json
from itertools import pairwise
from pathlib import Path

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from scalebed.commands import cli
from scalebed.core.errors import ScalebedError
from scalebed.core.files import sha256_file
from scalebed.core.provenance import canonical_json
from scalebed.data import corpus
from scalebed.data.corpus import extract_corpus, iter_documents
from scalebed.data.documents import Document
from scalebed.data.shuffle import Shuffler
from scalebed.data.splits import document_hash, split_of

SPLIT = {"train": 80, "val": 10, "tasks": 10}


def params(paths: str, **changes) -> dict:
    given_params = {
        "corpus": "mine",
        "reader": "files",
        "options": {"paths": paths, "id_field": "id"},
        "split": SPLIT,
        "numerics": 1,
    }
    return given_params | changes


def write_rows(folder: Path, texts: list[str], name: str = "rows.jsonl") -> str:
    rows = [json.dumps({"id": f"doc {i}", "text": text}) for i, text in enumerate(texts)]
    (folder / name).write_text("\n".join(rows))
    return str(folder / name)


@pytest.fixture
def texts() -> list[str]:
    return [f"Text number {i}, d\u00e9j\u00e0." for i in range(300)]


def test_manifest_and_documents(tmp_path, texts):
    out = tmp_path / "out/manifest.json"
    given_params = params(write_rows(tmp_path, texts))
    manifest = extract_corpus(given_params, out)
    assert json.loads(out.read_text()) == manifest
    assert sorted(file.name for file in out.parent.iterdir()) == [
        "documents.parquet",
        "manifest.json",
    ]
    rows = parquet.read_table(out.parent / "documents.parquet").to_pylist()
    assert [row["id"] for row in rows] == sorted(
        (f"doc {i}" for i in range(300)), key=document_hash
    )
    for row in rows:
        assert row["split"] == split_of(document_hash(row["id"]), SPLIT)
        assert row["text"] == texts[int(row["id"].split()[1])]
    size = sum(len(text.encode()) for text in texts)
    assert (manifest["documents"], manifest["bytes"]) == (300, size)
    assert sum(count["bytes"] for count in manifest["splits"].values()) == size
    assert manifest["file"]["sha256"] == sha256_file(out.parent / "documents.parquet")
    assert manifest["params"] == given_params
    for split, count in manifest["splits"].items():
        assert len(list(iter_documents(out, split))) == count["documents"] > 0


def test_result_does_not_depend_on_the_order_of_files(tmp_path, texts):
    for name, order in [("one", 1), ("two", -1)]:
        (tmp_path / name).mkdir()
        rows = [json.dumps({"id": f"doc {i}", "text": text}) for i, text in enumerate(texts)]
        (tmp_path / name / "rows.jsonl").write_text("\n".join(rows[::order]))
        extract_corpus(params(f"{tmp_path}/{name}/rows.jsonl"), tmp_path / name / "manifest.json")
    first, second = (tmp_path / name / "documents.parquet" for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()


def test_row_groups_are_bounded(tmp_path, texts, monkeypatch):
    monkeypatch.setattr(corpus, "_ROW_GROUP_BYTES", 1000)
    out = tmp_path / "manifest.json"
    manifest = extract_corpus(params(write_rows(tmp_path, texts)), out)
    groups = parquet.ParquetFile(tmp_path / "documents.parquet").num_row_groups
    assert groups == pytest.approx(manifest["bytes"] / 1000, rel=0.05)
    assert len(list(iter_documents(out, "train"))) == manifest["splits"]["train"]["documents"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(identifiers=st.lists(st.text(), unique=True), limit=st.integers(0, 40))
def test_spilling_changes_nothing(tmp_path, identifiers, limit):
    documents = [Document(name, name * 3 + "\n\u2028") for name in identifiers]
    held, spilled = Shuffler(tmp_path), Shuffler(tmp_path, spill_characters=limit)
    for document in documents:
        held.add(document)
    for document in reversed(documents):
        spilled.add(document)
    expected = list(held.sorted())
    assert list(spilled.sorted()) == expected
    assert sorted(entry.document for entry in expected) == sorted(documents)
    assert all(before.key < after.key for before, after in pairwise(expected))
    spilled.close()
    assert not list(tmp_path.iterdir())


def test_duplicate_ids(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}\n')
    with pytest.raises(ScalebedError, match="two documents have the id 'a'"):
        extract_corpus(params(str(file)), tmp_path / "out/manifest.json")
    assert not list((tmp_path / "out").iterdir())


def test_empty_corpus(tmp_path):
    file = write_rows(tmp_path, ["", "  "])
    with pytest.raises(ScalebedError, match="corpus mine is empty"):
        extract_corpus(params(file), tmp_path / "out/manifest.json")
    assert not list((tmp_path / "out").iterdir())


def test_empty_split(tmp_path):
    file = write_rows(tmp_path, ["only one"])
    with pytest.raises(ScalebedError, match=r"got none of the 1 documents; raise its percentage"):
        extract_corpus(params(file), tmp_path / "out/manifest.json")
    assert not list((tmp_path / "out").iterdir())


def test_half_characters(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": "a", "text": "x\\ud800"}\n')
    with pytest.raises(ScalebedError, match=r"'a' holds a lone surrogate \(character 1\)"):
        extract_corpus(params(str(file)), tmp_path / "out/manifest.json")
    assert not list((tmp_path / "out").iterdir())


def test_an_error_leaves_the_earlier_result(tmp_path, texts):
    out = tmp_path / "out/manifest.json"
    extract_corpus(params(write_rows(tmp_path, texts)), out)
    before = {file.name: file.read_bytes() for file in out.parent.iterdir()}
    (tmp_path / "rows.jsonl").write_bytes((tmp_path / "rows.jsonl").read_bytes() + b"\n\xff")
    with pytest.raises(ScalebedError, match="not UTF-8"):
        extract_corpus(params(str(tmp_path / "rows.jsonl")), out)
    assert {file.name: file.read_bytes() for file in out.parent.iterdir()} == before


def test_unknown_split_is_refused_by_readers(tmp_path, texts):
    out = tmp_path / "manifest.json"
    extract_corpus(params(write_rows(tmp_path, texts), split={"val": 100}), out)
    with pytest.raises(ScalebedError, match="no split 'train', its splits are: val"):
        list(iter_documents(out, "train"))


@pytest.mark.parametrize("damage", ["missing", "truncated", "altered"])
def test_damaged_documents_set_the_manifest_aside(tmp_path, texts, damage):
    out = tmp_path / "out/manifest.json"
    file = write_rows(tmp_path, texts)
    extract_corpus(params(file), out)
    documents = out.parent / "documents.parquet"
    raw = documents.read_bytes()
    if damage == "missing":
        documents.unlink()
    else:
        documents.write_bytes(raw[:-1] if damage == "truncated" else raw[:-1] + b"?")
    with pytest.raises(ScalebedError, match=r"documents\.parquet (is missing|has).*run again"):
        list(iter_documents(out, "train"))
    assert not out.exists()
    extract_corpus(params(file), out)
    assert documents.read_bytes() == raw
    assert len(list(iter_documents(out, "train"))) > 0


def test_too_little_memory_is_no_damage(tmp_path, texts, monkeypatch):
    manifest = tmp_path / "out/manifest.json"
    extract_corpus(params(write_rows(tmp_path, texts)), manifest)

    def full(*_: object, **__: object) -> None:
        raise pyarrow.ArrowMemoryError("malloc of size 64 failed")

    monkeypatch.setattr(parquet, "ParquetFile", full)
    with pytest.raises(MemoryError, match="malloc"):
        list(iter_documents(manifest, "train"))
    assert manifest.exists()


def test_wrong_kind_of_manifest(tmp_path):
    (tmp_path / "manifest.json").write_text('{"kind": "tokens"}')
    with pytest.raises(ScalebedError, match="of kind 'tokens', expected 'corpus'"):
        list(iter_documents(tmp_path / "manifest.json", "train"))


# -- the verb


def run(capsys, *words: str) -> str:
    assert cli.main(list(words)) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"scalebed {words[0]}: error: ") and message.count("\n") == 1
    return message


def test_verb_writes_the_manifest(tmp_path, texts):
    given_params = params(write_rows(tmp_path, texts))
    out = tmp_path / "out/manifest.json"
    assert (
        cli.main(["extract-corpus", "--params", canonical_json(given_params), "--out", str(out)])
        == 0
    )
    assert json.loads(out.read_text())["params"] == given_params


def test_verb_tells_errors_in_a_sentence(tmp_path, capsys):
    out = str(tmp_path / "out/manifest.json")
    bad = params("nothing/*.jsonl")
    assert "no file matches" in run(
        capsys, "extract-corpus", "--params", json.dumps(bad), "--out", out
    )
    missing = params("", reader="python_source", options={"package": "no-such", "version": "1"})
    assert "package no-such 1 is not installed" in run(
        capsys, "extract-corpus", "--params", json.dumps(missing), "--out", out
    )
    assert "--params is not JSON" in run(capsys, "extract-corpus", "--params", "{", "--out", out)
    assert "--params is a list" in run(capsys, "extract-corpus", "--params", "[]", "--out", out)
    assert "lacks the key 'corpus'" in run(capsys, "extract-corpus", "--params", "{}", "--out", out)
    extra = json.dumps(bad | {"color": 1})
    assert "unknown key 'color'" in run(capsys, "extract-corpus", "--params", extra, "--out", out)


def test_unwritable_results_folder(tmp_path, texts, capsys):
    (tmp_path / "results").write_text("a file where a folder should be")
    out = str(tmp_path / "results/corpora/mine/manifest.json")
    given_params = canonical_json(params(write_rows(tmp_path, texts)))
    assert f"cannot write {tmp_path}/results/corpora/mine/documents.parquet" in run(
        capsys, "extract-corpus", "--params", given_params, "--out", out
    )
