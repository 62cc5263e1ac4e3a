import hashlib
import itertools
import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scalebed.commands import cli
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, write_json
from scalebed.data import sequences
from scalebed.data import tokens as tokens_module
from scalebed.data.corpus import extract_corpus, iter_documents
from scalebed.data.dataset import build_dataset
from scalebed.data.permutation import Permutation
from scalebed.data.sequences import SequenceSource, TokenStream, validation_sequences
from scalebed.data.tokenizer import load_tokenizer, train_tokenizer
from scalebed.data.tokens import cut, tokenize_corpus

BYTES = {"tokenizer": "bytes", "kind": "bytes", "numerics": 1}


def make_corpus(root: Path, name: str, texts: list[str]) -> Path:
    (root / f"{name}.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    out = root / f"results/corpora/{name}/manifest.json"
    params = {"corpus": name, "reader": "files", "options": {"paths": str(root / f"{name}.jsonl")}}
    extract_corpus(params | {"split": {"train": 70, "val": 20, "tasks": 10}, "numerics": 1}, out)
    return out


def make_tokens(root: Path, name: str, texts: list[str], shard_tokens: int = 700) -> Path:
    tokenizer = root / "results/tokenizers/bytes/manifest.json"
    train_tokenizer(BYTES, [], tokenizer)
    out = root / f"results/tokens/bytes/{name}/manifest.json"
    corpus = make_corpus(root, name, texts)
    tokenize_corpus({"numerics": 1}, corpus, tokenizer, out, shard_tokens=shard_tokens)
    return out


def make_dataset(root: Path, manifests: list[Path], /, **params) -> Path:
    out = root / "results/datasets/mix/manifest.json"
    build_dataset({"dataset": "mix", **params}, manifests, out)
    return out


def words(seed: int, documents: int) -> list[str]:
    draw = np.random.default_rng(seed)
    return [
        "".join(map(chr, draw.integers(97, 123, draw.integers(5, 60)))) for _ in range(documents)
    ]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path, Path]:
    """Tokens of two corpora and a data set of both; not to be damaged."""
    root = tmp_path_factory.mktemp("built")
    one, two = make_tokens(root, "one", words(1, 300)), make_tokens(root, "two", words(2, 200))
    return one, two, make_dataset(root, [one, two], sources={"one": 3, "two": 1})


def whole_stream(tokens: Path, split: str) -> np.ndarray:
    manifest = read_json(tokens)
    dtype = np.dtype(manifest["dtype"]).newbyteorder("<")
    shards = manifest["splits"][split]["shards"]
    return np.concatenate([np.fromfile(tokens.parent / shard["name"], dtype) for shard in shards])


# -- tokens


def test_shards_hold_the_documents_with_ends(built):
    one, _, _ = built
    root = one.parents[3]
    manifest = read_json(one)
    tokenizer = load_tokenizer(root / "tokenizers/bytes/manifest.json")
    for split in ("train", "val"):
        documents = list(iter_documents(root / "corpora/one/manifest.json", split))
        expected = [i for _, text in documents for i in [*text.encode(), tokenizer.eot]]
        assert whole_stream(one, split).tolist() == expected
        facts = manifest["splits"][split]
        assert facts["tokens"] == len(expected) == facts["bytes"] + facts["documents"]
        assert [shard["tokens"] for shard in facts["shards"][:-1]] == [700] * (len(expected) // 700)
        for shard in facts["shards"]:
            raw = (one.parent / shard["name"]).read_bytes()
            assert (len(raw), hashlib.sha256(raw).hexdigest()) == (shard["bytes"], shard["sha256"])
    assert set(manifest["splits"]) == {"train", "val"}
    assert (manifest["dtype"], manifest["vocab"], manifest["eot"]) == ("uint16", 257, 256)


def test_large_vocabularies_take_four_bytes(tmp_path):
    merges: list[tuple[str, str]] = []
    tokenizer = tmp_path / "t/manifest.json"
    train_tokenizer(BYTES, [], tokenizer)
    content = json.loads((tmp_path / "t/tokenizer.json").read_text())
    content["model"]["vocab"] |= {f"<{i}>": i for i in range(300, 70_000)}
    content["model"]["vocab"]["\u0120a"], content["model"]["merges"] = (
        70_000,
        [*merges, ("\u0120", "a")],
    )
    (tmp_path / "big.json").write_text(json.dumps(content))
    params = {"tokenizer": "big", "kind": "file", "path": str(tmp_path / "big.json"), "numerics": 1}
    train_tokenizer(params, [], tokenizer)
    out = tmp_path / "tokens/manifest.json"
    manifest = tokenize_corpus(
        {"numerics": 1}, make_corpus(tmp_path, "c", [" a b"] * 60), tokenizer, out
    )
    assert (manifest["dtype"], manifest["vocab"]) == ("uint32", 70_001)
    first = whole_stream(out, "train")[:4].tolist()
    assert first == [70_000, 32, 98, manifest["eot"]]


def test_small_batches_give_the_same_tokens(tmp_path, monkeypatch):
    one = make_tokens(tmp_path, "one", words(1, 50))
    before = read_json(one)
    monkeypatch.setattr("scalebed.data.tokens._BATCH_CHARACTERS", 30)
    assert read_json(make_tokens(tmp_path, "one", words(1, 50))) == before


@given(text=st.text(alphabet="ab \n"), longest=st.integers(1, 12))
def test_long_texts_are_cut_before_blanks(text, longest):
    parts = cut(text, longest)
    assert "".join(parts) == text and max(map(len, parts)) <= longest
    for before, after in itertools.pairwise(parts):
        clean = after[0].isspace() and not before[-1].isspace()
        # Only a piece without any such place is cut elsewhere.
        assert clean or not re.search(r"\S\s", before + after[0])


def test_cutting_long_documents_changes_no_token(tmp_path, monkeypatch):
    corpus = make_corpus(tmp_path, "one", [" ".join(words(i, 40)) for i in range(40)])
    tokenizer = tmp_path / "t/manifest.json"
    bpe = {"kind": "bpe", "vocab": 300, "bytes": 20_000, "corpora": ["one"]}
    train_tokenizer(BYTES | bpe, [corpus], tokenizer)
    whole = tokenize_corpus({"numerics": 1}, corpus, tokenizer, tmp_path / "a/manifest.json")
    monkeypatch.setattr(tokens_module, "cut", lambda text: cut(text, 100))
    pieces = tokenize_corpus({"numerics": 1}, corpus, tokenizer, tmp_path / "b/manifest.json")
    assert pieces == whole


def test_shards_of_an_earlier_version_go(tmp_path):
    one = make_tokens(tmp_path, "one", words(1, 200), shard_tokens=100)
    many = len(list(one.parent.iterdir()))
    one = make_tokens(tmp_path, "one", words(1, 60), shard_tokens=100)
    listed = [s["name"] for split in read_json(one)["splits"].values() for s in split["shards"]]
    expected = sorted([*listed, "manifest.json", ".manifest.json.sha256"])
    assert sorted(file.name for file in one.parent.iterdir()) == expected
    assert len(listed) < many - 1


def test_broken_corpus_leaves_nothing(tmp_path):
    corpus = make_corpus(tmp_path, "one", words(1, 50))
    tokenizer = tmp_path / "t/manifest.json"
    train_tokenizer(BYTES, [], tokenizer)
    documents = corpus.parent / "documents.parquet"
    documents.write_bytes(documents.read_bytes()[:-5])
    with pytest.raises(ScalebedError, match="run again to rebuild"):
        tokenize_corpus({"numerics": 1}, corpus, tokenizer, tmp_path / "out/manifest.json")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


# -- data sets


def test_weights_share_out_the_scarcest_source(built):
    one, two, dataset = built
    available = {
        path.parent.name: read_json(path)["splits"]["train"]["tokens"] for path in (one, two)
    }
    manifest = read_json(dataset)
    taken = {source["corpus"]: source["tokens"] for source in manifest["sources"]}
    assert taken["one"] == available["one"] and taken["one"] < 3 * available["two"]
    assert taken["two"] == available["one"] // 3
    assert manifest["tokens"] == manifest["unique_tokens"] == sum(taken.values())
    assert manifest["sources"][0]["manifest"] == "../../tokens/bytes/one/manifest.json"


def test_cap(built, tmp_path):
    one, two, _ = built
    dataset = make_dataset(tmp_path, [one, two], sources={"one": 0.1, "two": 0.3}, tokens=400)
    assert [source["tokens"] for source in read_json(dataset)["sources"]] == [100, 300]


@given(
    weights=st.lists(st.floats(0.001, 1000), min_size=1, max_size=4),
    available=st.lists(st.integers(1, 10**12), min_size=4, max_size=4),
)
def test_no_source_gives_more_than_it_has(weights, available, tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    paths = []
    for name, tokens in zip("abcd", available, strict=True):
        path = root / name / "manifest.json"
        facts = {"kind": "tokens", "corpus": name, "tokenizer": "t", "tokenizer_sha256": "0"}
        facts |= {"vocab": 257, "eot": 256, "dtype": "uint16"}
        write_json(path, facts | {"splits": {"train": {"tokens": tokens}}})
        paths.append(path)
    sources = dict(zip("abcd", weights, strict=False))
    manifest = read_json(make_dataset(root, paths, sources=sources))
    slack = []
    for source in manifest["sources"]:
        limit = available["abcd".index(source["corpus"])]
        expected = manifest["tokens"] * source["weight"] / sum(weights)
        assert 0 <= source["tokens"] <= limit
        assert source["tokens"] == pytest.approx(expected, abs=len(weights), rel=1e-9)
        slack.append(limit - source["tokens"])
    assert min(slack) == 0


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"sources": {}}, "has no sources"),
        ({"sources": {"one": 0}}, "weight of one is 0"),
        ({"sources": {"one": True}}, "weight of one is True"),
        ({"sources": {"three": 1}}, "no tokens of corpus 'three'"),
        ({"sources": {"one": 1}, "tokens": 0}, "tokens is 0, expected a positive"),
    ],
)
def test_bad_data_sets(built, tmp_path, params, message):
    with pytest.raises(ScalebedError, match=message):
        make_dataset(tmp_path, list(built[:2]), **params)
    assert not (tmp_path / "results").exists()


def test_different_tokenizers(built, tmp_path):
    one, two, _ = built
    other = tmp_path / "two/manifest.json"
    write_json(other, read_json(two) | {"tokenizer": "other", "tokenizer_sha256": "0"})
    with pytest.raises(ScalebedError, match="two was encoded by tokenizer other"):
        make_dataset(tmp_path, [one, other], sources={"one": 1, "two": 1})


def test_verbs_from_text_to_data_set(built, tmp_path):
    one, two, dataset = built
    root = one.parents[3]
    out = tmp_path / "tokens/manifest.json"
    line = ["tokenize-corpus", "--params", '{"numerics":1}', "--out", str(out)]
    line += ["--corpus", str(root / "corpora/one/manifest.json")]
    assert cli.main([*line, "--tokenizer", str(root / "tokenizers/bytes/manifest.json")]) == 0
    assert (
        read_json(out)["splits"]["train"]["tokens"] == read_json(one)["splits"]["train"]["tokens"]
    )
    params = json.dumps({"dataset": "mix", "sources": {"one": 3, "two": 1}})
    line = ["build-dataset", "--params", params, "--tokens", str(one), str(two)]
    again = dataset.parent.parent / "again/manifest.json"
    assert cli.main([*line, "--out", str(again)]) == 0
    assert again.read_bytes() == dataset.read_bytes()


# -- the order


@settings(deadline=None)
@given(size=st.integers(1, 5000), seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 2**31))
def test_permutation_is_a_bijection(size, seed, epoch):
    order = Permutation(size, seed, epoch)(np.arange(size))
    assert order.dtype == np.int64
    assert (np.sort(order) == np.arange(size)).all()


@given(size=st.integers(1, 10**12), seed=st.integers(0, 2**32), data=st.data())
def test_permutation_of_many_is_injective_and_pointwise(size, seed, data):
    positions = np.array(
        data.draw(st.lists(st.integers(0, size - 1), unique=True, max_size=50)), int
    )
    permutation = Permutation(size, seed)
    together = permutation(positions)
    assert ((together >= 0) & (together < size)).all()
    assert len(set(together.tolist())) == len(positions)
    assert [int(permutation(np.array([p]))[0]) for p in positions] == together.tolist()


def test_permutation_is_pinned():
    """The order is part of every result: a change here calls for a higher NUMERICS."""
    assert Permutation(10, 124)(np.arange(10)).tolist() == [0, 4, 7, 3, 2, 5, 1, 8, 6, 9]
    assert Permutation(10**9, 124, 1)(np.arange(3)).tolist() == [819173358, 161134040, 295015662]


def test_permutations_look_random():
    n, repeats = 12, 3000
    places = np.array([Permutation(n, seed)(np.arange(n)) for seed in range(repeats)])
    expected = repeats / n
    for position in range(n):
        counts = np.bincount(places[:, position], minlength=n)
        # 99.9999 % point of chi-squared with 11 degrees of freedom.
        assert ((counts - expected) ** 2 / expected).sum() < 50
    inversions = (places[:, :, None] > places[:, None, :])[:, *np.triu_indices(n, 1)].mean()
    assert abs(inversions - 0.5) < 0.02
    assert (places[:-1] == places[1:]).all(axis=1).sum() == 0


def test_other_seeds_and_epochs_give_other_orders():
    orders = {tuple(Permutation(50, s, e)(np.arange(50))) for s in range(5) for e in range(5)}
    assert len(orders) == 25


def test_sizes_out_of_range():
    for size in (0, 2**62 + 1):
        with pytest.raises(ValueError, match="expected 1 to"):
            Permutation(size, 0)


# -- sequences


@pytest.fixture(scope="module")
def source(built) -> SequenceSource:
    return SequenceSource(built[2], context=16, seed=124)


def test_sequences_tile_each_stream(built, source):
    streams = [whole_stream(path, "train") for path in built[:2]]
    taken = [entry["tokens"] for entry in read_json(built[2])["sources"]]
    expected = [
        stream[start : start + 17]
        for stream, tokens in zip(streams, taken, strict=True)
        for start in range(0, tokens - 16, 16)
    ]
    assert len(source) == len(expected)
    assert all((source.sequence(i) == expected[i]).all() for i in range(len(source)))


def test_an_epoch_shows_every_sequence_once(source):
    n = len(source)
    first, second = source.indices(np.arange(n)), source.indices(np.arange(n, 2 * n))
    assert sorted(first) == sorted(second) == list(range(n))
    assert (first != second).any() and (first != np.arange(n)).any()


@settings(deadline=None)
@given(
    step=st.integers(0, 200),
    batch=st.integers(1, 40),
    world=st.integers(1, 9),
    block=st.integers(1, 64),
)
def test_ranks_partition_the_batch(source, built, step, batch, world, block):
    whole = source.batch(step, batch)
    parts = [source.batch(step, batch, rank, world) for rank in range(world)]
    assert whole.shape == (batch, 17) and whole.dtype == np.int64
    assert (np.concatenate(parts) == whole).all()
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    # Another process that starts at this very step sees the same batch.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequences, "_BLOCK", block)
        fresh = SequenceSource(built[2], context=16, seed=124)
        assert (fresh.batch(step, batch) == whole).all()


@given(batch=st.integers(1, 50), split=st.integers(2, 5))
def test_order_does_not_depend_on_the_batch_size(source, batch, split):
    whole = source.batch(0, batch * split)
    assert (np.concatenate([source.batch(i, batch) for i in range(split)]) == whole).all()


def test_seed_changes_the_order(built, source):
    other = SequenceSource(built[2], context=16, seed=125)
    assert (other.batch(0, 20) != source.batch(0, 20)).any()


def test_few_open_files_suffice(built, source, monkeypatch):
    monkeypatch.setattr(sequences, "_OPEN_MAPS", 2)
    frugal = SequenceSource(built[2], context=16, seed=124)
    assert (frugal.batch(0, 64) == source.batch(0, 64)).all()
    assert all(len(stream._maps) <= 2 for stream in frugal._streams)


@given(context=st.integers(1, 1500), limit=st.one_of(st.none(), st.integers(1, 3000)))
def test_validation_sequences_are_in_order_and_never_overlap(built, context, limit):
    stream = whole_stream(built[0], "val").astype(np.int64)
    count = min((len(stream) - 1) // context, 10**9 if limit is None else limit // context)
    assume(count > 0)
    got = validation_sequences(built[0], "val", context, limit)
    assert got.sequences.shape == (count, context + 1)
    assert (got.sequences[:, :-1].ravel() == stream[: count * context]).all()
    assert (got.sequences[:, 1:].ravel() == stream[1 : count * context + 1]).all()
    facts = read_json(built[0])["splits"]["val"]
    assert got.tokens == count * context
    assert got.bytes_per_token == facts["bytes"] / facts["tokens"]
    assert abs(got.bytes - got.tokens * got.bytes_per_token) <= 0.5


def test_too_little_text(built, tmp_path):
    with pytest.raises(ScalebedError, match=r"expected at least one sequence of 100001"):
        validation_sequences(built[0], "val", 100_000)
    with pytest.raises(ScalebedError, match=r"and a limit of 5, expected at least one sequence"):
        validation_sequences(built[0], "val", 16, 5)
    with pytest.raises(ScalebedError, match="have no split 'tasks', expected train or val"):
        validation_sequences(built[0], "tasks", 16)
    with pytest.raises(ScalebedError, match=r"data set mix has .* tokens, expected at least one"):
        SequenceSource(built[2], context=100_000, seed=0)


# -- damage


@pytest.fixture
def fragile(tmp_path) -> tuple[Path, Path]:
    tokens = make_tokens(tmp_path, "one", words(1, 60))
    return tokens, make_dataset(tmp_path, [tokens], sources={"one": 1})


@pytest.mark.parametrize("damage", ["missing", "truncated", "altered"])
def test_damaged_shards_are_noticed_and_rebuilt(tmp_path, fragile, damage):
    tokens, dataset = fragile
    shard = tokens.parent / "train-00001.bin"
    raw = shard.read_bytes()
    if damage == "missing":
        shard.unlink()
    else:
        shard.write_bytes(raw[:-2] if damage == "truncated" else b"\1\1" + raw[2:])
    with pytest.raises(
        ScalebedError, match=r"train-00001\.bin (is missing|has).*run again to rebuild"
    ):
        SequenceSource(dataset, context=16, seed=0)
    assert not tokens.exists() and tokens.with_name("manifest.json.bad").exists()
    assert not dataset.exists(), "a view of broken tokens has to be made anew with them"
    dataset.with_name("manifest.json.bad").rename(dataset)
    with pytest.raises(ScalebedError, match=r"does not exist; set .* aside, run again to rebuild"):
        SequenceSource(dataset, context=16, seed=0)
    assert not dataset.exists()
    dataset.with_name("manifest.json.bad").rename(dataset)
    make_tokens(tmp_path, "one", words(1, 60))
    assert shard.read_bytes() == raw
    assert len(SequenceSource(dataset, context=16, seed=0)) > 0


def test_size_check_alone_is_blind_to_altered_bytes_but_ids_are_checked(fragile):
    tokens, dataset = fragile
    shard = tokens.parent / "train-00000.bin"
    shard.write_bytes(b"\xff\xff" + shard.read_bytes()[2:])
    source = SequenceSource(dataset, context=16, seed=0, verify="size")
    with pytest.raises(ScalebedError, match=r"token 0 of .* is 65535, expected an id below 257"):
        source.sequence(0)
    assert not tokens.exists()


def test_a_shard_changed_after_it_was_checked_is_checked_again(fragile):
    tokens, dataset = fragile
    SequenceSource(dataset, context=16, seed=0)
    shard = tokens.parent / "train-00000.bin"
    time.sleep(0.02)
    shard.write_bytes(b"\1\1" + shard.read_bytes()[2:])
    with pytest.raises(ScalebedError, match="SHA-256"):
        TokenStream(tokens, "train")


def test_tokens_rebuilt_behind_the_data_set(tmp_path, fragile):
    tokens, dataset = fragile
    make_tokens(tmp_path, "one", words(9, 60))
    with pytest.raises(ScalebedError, match=r"changed since .* was built from it"):
        SequenceSource(dataset, context=16, seed=0)
    assert tokens.exists() and not dataset.exists()
