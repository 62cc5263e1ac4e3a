import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from scalebed.commands import cli
from scalebed.core.errors import ScalebedError
from scalebed.data.corpus import extract_corpus
from scalebed.data.tokenizer import Tokenizer, load_tokenizer, train_tokenizer

TEXT = "the quick brown fox jumps over a lazy dog while seventeen sailors sing softly"
WORDS = TEXT.split()
COMMAND = [sys.executable, "-m", "scalebed", "train-tokenizer", "--params"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """A corpus of 200 documents of 80 words each."""
    folder = tmp_path_factory.mktemp("corpus")
    draw = np.random.default_rng(5)
    rows = [json.dumps({"text": " ".join(draw.choice(WORDS, 80))}) for _ in range(200)]
    (folder / "rows.jsonl").write_text("\n".join(rows))
    out = folder / "corpora/words/manifest.json"
    extract_corpus(
        {
            "corpus": "words",
            "reader": "files",
            "options": {"paths": str(folder / "rows.jsonl")},
            "split": {"train": 90, "val": 10},
            "numerics": 1,
        },
        out,
    )
    return out


def bpe(**changes) -> dict:
    params = {"tokenizer": "t", "kind": "bpe", "vocab": 280, "bytes": 20_000, "corpora": ["words"]}
    return params | {"numerics": 1} | changes


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory) -> Tokenizer:
    out = tmp_path_factory.mktemp("tokenizer") / "manifest.json"
    train_tokenizer(bpe(), [corpus], out)
    return load_tokenizer(out)


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory) -> Tokenizer:
    out = tmp_path_factory.mktemp("bytes") / "manifest.json"
    train_tokenizer({"tokenizer": "b", "kind": "bytes", "numerics": 1}, [], out)
    return load_tokenizer(out)


def test_manifest(corpus, tmp_path):
    out = tmp_path / "t/manifest.json"
    manifest = train_tokenizer(bpe(), [corpus], out)
    assert json.loads(out.read_text()) == manifest
    assert (manifest["vocab"], manifest["eot"], manifest["params"]) == (280, 0, bpe())
    assert sorted(file.name for file in out.parent.iterdir()) == ["manifest.json", "tokenizer.json"]


@settings(deadline=None)
@given(text=st.text())
def test_any_text_survives(trained, byte_level, text):
    for tokenizer in (trained, byte_level):
        (ids,) = tokenizer.encode_batch([text])
        assert tokenizer.decode(ids) == text
        assert not ids.size or (ids.min() >= 0 and ids.max() < tokenizer.vocab)


def test_training_compresses(trained, byte_level):
    text = TEXT
    (short,), (long,) = trained.encode_batch([text]), byte_level.encode_batch([text])
    assert len(short) < 0.8 * len(long) == 0.8 * len(text)


@given(st.binary(max_size=50))
def test_byte_ids_are_the_bytes(byte_level, raw):
    text = raw.decode("utf-8", errors="ignore")
    assert bytes(byte_level.encode_batch([text])[0].tolist()) == text.encode()
    assert (byte_level.vocab, byte_level.eot) == (257, 256)


def test_text_cannot_forge_the_end_of_text(trained, byte_level):
    for tokenizer in (trained, byte_level):
        (ids,) = tokenizer.encode_batch(["a<|endoftext|>b"])
        assert tokenizer.eot not in ids
        assert tokenizer.decode([*ids, tokenizer.eot]) == "a<|endoftext|>b"


def test_batching_changes_nothing(trained):
    texts = [" ".join(WORDS[i:]) for i in range(5)]
    together = trained.encode_batch(texts)
    assert all(
        (trained.encode_batch([t])[0] == ids).all() for t, ids in zip(texts, together, strict=True)
    )
    assert all(ids.dtype == np.int64 for ids in together)


def test_training_is_deterministic_on_any_number_of_threads(corpus, tmp_path):
    made = []
    for threads, seed in [("1", "1"), ("4", "2")]:
        out = tmp_path / threads / "manifest.json"
        subprocess.run(
            [*COMMAND, json.dumps(bpe()), "--corpora", str(corpus), "--out", str(out)],
            check=True,
            env={
                **os.environ,
                "TOKENIZERS_PARALLELISM": "true",
                "RAYON_NUM_THREADS": threads,
                "PYTHONHASHSEED": seed,
            },
        )
        made.append((out.parent / "tokenizer.json").read_bytes())
    assert made[0] == made[1]


def test_one_core_is_used_unless_more_are_wanted(corpus, tmp_path):
    code = f"""if True:
        import json, os, sys
        from pathlib import Path
        from scalebed.data.tokenizer import load_tokenizer, train_tokenizer
        before = len(os.listdir("/proc/self/task"))
        train_tokenizer(json.loads(sys.argv[1]), [Path({str(corpus)!r})], Path("manifest.json"))
        load_tokenizer("manifest.json").encode_batch(["a", "b"] * 100)
        print(len(os.listdir("/proc/self/task")) - before)
    """
    environment = {k: v for k, v in os.environ.items() if k != "TOKENIZERS_PARALLELISM"}
    started = []
    for more in ({}, {"TOKENIZERS_PARALLELISM": "true", "RAYON_NUM_THREADS": "3"}):
        command = [sys.executable, "-c", code, json.dumps(bpe())]
        ended = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment | more,
            check=True,
            capture_output=True,
            text=True,
        )
        started.append(int(ended.stdout))
    assert started[1] - started[0] == 3


def fails(params: dict, corpora: list[Path], folder: Path) -> str:
    with pytest.raises(ScalebedError) as caught:
        train_tokenizer(params, corpora, folder / "out/manifest.json")
    assert not (folder / "out").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_bad_params(corpus, tmp_path):
    assert "vocab is 256, expected an integer above 256" in fails(
        bpe(vocab=256), [corpus], tmp_path
    )
    assert "yields only" in fails(bpe(vocab=50_000), [corpus], tmp_path)
    assert "no manifest of corpus 'words'" in fails(bpe(), [], tmp_path)
    assert "kind 'sentencepiece' is unknown" in fails(bpe(kind="sentencepiece"), [], tmp_path)


def adopt(path: Path, **changes) -> dict:
    return {"tokenizer": "f", "kind": "file", "path": str(path), "numerics": 1} | changes


def test_adopting_a_tokenizer_json(corpus, tmp_path):
    train_tokenizer(bpe(), [corpus], tmp_path / "a/manifest.json")
    made = train_tokenizer(adopt(tmp_path / "a/tokenizer.json"), [], tmp_path / "b/manifest.json")
    assert (made["vocab"], made["eot"]) == (280, 0)
    texts = ["quick brown d\u00e9j\u00e0"]
    one, two = (load_tokenizer(tmp_path / name / "manifest.json") for name in "ab")
    assert (one.encode_batch(texts)[0] == two.encode_batch(texts)[0]).all()


@pytest.mark.parametrize("names", [("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt")])
def test_adopting_a_gpt2_vocabulary(corpus, tmp_path, names):
    train_tokenizer(bpe(), [corpus], tmp_path / "a/manifest.json")
    model = json.loads((tmp_path / "a/tokenizer.json").read_text())["model"]
    (tmp_path / names[0]).write_text(json.dumps(model["vocab"]))
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    (tmp_path / names[1]).write_text("#version: 0.2\n" + merges + "\n")
    made = train_tokenizer(adopt(tmp_path / names[0]), [], tmp_path / "b/manifest.json")
    assert made["vocab"] == 280
    texts = ["the lazy sailors"]
    one, two = (load_tokenizer(tmp_path / name / "manifest.json") for name in "ab")
    assert (one.encode_batch(texts)[0] == two.encode_batch(texts)[0]).all()
    (tmp_path / names[1]).unlink()
    assert "does not exist" in fails(adopt(tmp_path / names[0]), [], tmp_path)


def test_bad_tokenizer_files(tmp_path):
    assert "does not exist" in fails(adopt(tmp_path / "t.json"), [], tmp_path)
    (tmp_path / "t.json").write_text("{}")
    assert "is not a tokenizer.json" in fails(adopt(tmp_path / "t.json"), [], tmp_path)
    core = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]")
    )
    core.save(str(tmp_path / "t.json"))
    assert "has no token <|endoftext|> or" in fails(adopt(tmp_path / "t.json"), [], tmp_path)
    assert "has no token <end>" in fails(adopt(tmp_path / "t.json", eot="<end>"), [], tmp_path)
    made = train_tokenizer(adopt(tmp_path / "t.json", eot="a"), [], tmp_path / "m/manifest.json")
    assert (made["vocab"], made["eot"]) == (2, 0)


def test_hub_tokenizer_offline(tmp_path):
    params = {"tokenizer": "h", "kind": "hub", "path": "EleutherAI/gpt-neox-20b", "numerics": 1}
    done = subprocess.run(
        [*COMMAND, json.dumps(params), "--out", str(tmp_path / "out/manifest.json")],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")},
    )
    assert done.returncode == 2
    assert done.stderr.startswith(
        "scalebed train-tokenizer: error: cannot get tokenizer 'EleutherAI/gpt-neox-20b'"
    )
    assert done.stderr.count("\n") == 1 and not (tmp_path / "out").exists()


def test_id_outside_the_vocabulary(trained):
    narrow = Tokenizer(trained._core, 100, 0)
    with pytest.raises(ScalebedError, match=r"gave token id .*, expected < 100"):
        narrow.encode_batch(["\u00e9"])


def test_altered_tokenizer(corpus, tmp_path):
    out = tmp_path / "manifest.json"
    train_tokenizer(bpe(), [corpus], out)
    text = (tmp_path / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(text.replace('"1.0"', '"1.1"', 1))
    with pytest.raises(ScalebedError, match=r"tokenizer\.json has SHA-256 .* run again"):
        load_tokenizer(out)
    assert not out.exists()


def test_verb_with_a_bad_key(tmp_path, capsys):
    words = ["--params", json.dumps(bpe(color=1)), "--out", str(tmp_path / "manifest.json")]
    assert cli.main(["train-tokenizer", *words]) == 2
    assert "unknown key 'color'" in capsys.readouterr().err
