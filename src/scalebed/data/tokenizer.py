"""Tokenizers: training a byte-level BPE, adopting an existing one, and using either.

Every kind ends as one ``tokenizer.json`` of the `tokenizers` library, so that later stages know a
single format. Text never yields the end-of-text token, even if it spells its name.
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from scalebed.core import verify
from scalebed.core.cells import NAME, results_of
from scalebed.core.errors import ScalebedError
from scalebed.core.files import atomic_path, write_json
from scalebed.data.corpus import iter_documents, read_manifest

logger = logging.getLogger(__name__)

FILE = "tokenizer.json"
EOT = "<|endoftext|>"
_EOT_NAMES = (EOT, "</s>", "<eos>", "<|end_of_text|>", "[SEP]")
_BYTES = 256
KINDS = ("bpe", "bytes", "file", "hub")


class Tokenizer:
    """A tokenizer with a known vocabulary size and end-of-text token.

    Attributes
    ----------
    vocab
        Number of ids: all lie in [0, vocab).
    eot
        The id that separates documents.
    """

    def __init__(self, core: tokenizers.Tokenizer, vocab: int, eot: int) -> None:
        core.encode_special_tokens = True
        core.no_padding()
        core.no_truncation()
        _stay_on_one_core()
        self._core = core
        self.vocab = vocab
        self.eot = eot

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the ids of each text as an int64 array, without any special token.

        Raises
        ------
        ScalebedError
            If an id lies outside the vocabulary.
        """
        encoded = self._core.encode_batch_fast(list(texts), add_special_tokens=False)
        arrays = [np.array(item.ids, dtype=np.int64) for item in encoded]
        highest = max((int(ids.max()) for ids in arrays if ids.size), default=0)
        if highest >= self.vocab:
            raise ScalebedError(f"the tokenizer gave token id {highest}, expected < {self.vocab}")
        return arrays

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """Return the text of token ids; end-of-text tokens are left out."""
        return str(self._core.decode([int(i) for i in ids], skip_special_tokens=True))


def manifest_of(cell: Path, about: Mapping[str, Any], given: Path | None = None) -> Path:
    """Return the manifest of the tokenizer of a trained cell.

    Parameters
    ----------
    cell
        Folder of the cell.
    about
        Content of its ``model.json``.
    given
        The manifest, if it does not lie where the workflow puts it.

    Raises
    ------
    ScalebedError
        If nothing tells where it is.
    """
    if given is not None:
        return given
    name, results = about.get("tokenizer"), results_of(cell)
    if results is None or not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise ScalebedError(
            f"{cell} does not tell where its tokenizer is, expected --tokenizer with its manifest"
        )
    return results / "tokenizers" / name / "manifest.json"


def load_tokenizer(manifest_path: str | os.PathLike[str]) -> Tokenizer:
    """Return the tokenizer of a manifest.

    Raises
    ------
    ScalebedError
        If the manifest or the tokenizer's file is missing, broken or altered.
    """
    path = Path(manifest_path)
    manifest = read_manifest(path, "tokenizer")
    core = _from_file(verify.verified(path, manifest["file"]))
    return Tokenizer(core, manifest["vocab"], manifest["eot"])


def train_tokenizer(
    params: Mapping[str, Any], corpora: Sequence[Path], out: Path
) -> dict[str, Any]:
    """Train or adopt a tokenizer and write it beside its manifest.

    Parameters
    ----------
    params
        ``tokenizer`` (name), ``kind`` and ``numerics``; for kind ``bpe`` also ``vocab``,
        ``corpora`` (names) and ``bytes`` (text taken of each one's train split); for ``file``
        ``path`` of a tokenizer.json, or of a vocab.json or encoder.json with its merges beside it
        or named by ``merges``; for ``hub`` ``path`` and optionally ``revision``; for both
        optionally ``eot``, the name of the end-of-text token.
    corpora
        Manifests of the corpora named in `params`.
    out
        Where the manifest goes.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ScalebedError
        On bad params, a missing file or corpus, or a hub that cannot be reached.
    """
    core = _make_core(params, corpora)
    eot = _end_of_text(core, params)
    with atomic_path(out.parent / FILE, digest=False) as temporary:
        temporary.write_text(core.to_str(), encoding="utf-8")
    manifest = {
        "kind": "tokenizer",
        "tokenizer": params["tokenizer"],
        # Ids may have gaps, so the highest one counts, not their number.
        "vocab": max(core.get_vocab(with_added_tokens=True).values()) + 1,
        "eot": eot,
        "file": verify.entry(out.parent / FILE),
        "params": dict(params),
    }
    write_json(out, manifest)
    logger.info("tokenizer %s: vocabulary %d", params["tokenizer"], manifest["vocab"])
    return manifest


def _make_core(params: Mapping[str, Any], corpora: Sequence[Path]) -> tokenizers.Tokenizer:
    kind = params["kind"]
    if kind == "bpe":
        return _train_bpe(params, corpora)
    if kind == "bytes":
        return _byte_core()
    if kind == "file":
        return _adopt_file(params)
    if kind == "hub":
        return _adopt_hub(params)
    raise ScalebedError(f"tokenizer kind {kind!r} is unknown, expected {', '.join(KINDS)}")


def _stay_on_one_core() -> None:
    """Have the library start no threads, unless whoever runs this wants them.

    Rules give these jobs one core, and where memory is short the library panics because of threads
    that cannot start.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _train_bpe(params: Mapping[str, Any], corpora: Sequence[Path]) -> tokenizers.Tokenizer:
    vocab = params["vocab"]
    if isinstance(vocab, bool) or not isinstance(vocab, int) or vocab <= _BYTES:
        raise ScalebedError(
            f"tokenizer {params['tokenizer']}: vocab is {vocab!r}, "
            f"expected an integer above {_BYTES} (the bytes and end-of-text)"
        )
    core = _bare_core(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[EOT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    _stay_on_one_core()
    core.train_from_iterator(_samples(params, corpora), trainer)
    found = core.get_vocab_size(with_added_tokens=True)
    if found < vocab:
        raise ScalebedError(
            f"tokenizer {params['tokenizer']}: its text yields only {found} of {vocab} tokens; "
            "lower vocab or bring more text"
        )
    return core


def _samples(params: Mapping[str, Any], corpora: Sequence[Path]) -> Iterator[str]:
    by_name = {read_manifest(path, "corpus")["corpus"]: path for path in corpora}
    for name in params["corpora"]:
        if name not in by_name:
            raise ScalebedError(
                f"tokenizer {params['tokenizer']}: no manifest of corpus {name!r} was given"
            )
        left = params["bytes"]
        for document in iter_documents(by_name[name], "train"):
            text = document.text[:left]
            yield text
            left -= len(text.encode("utf-8"))
            if left <= 0:
                break


def _bare_core(model: models.Model) -> tokenizers.Tokenizer:
    core = tokenizers.Tokenizer(model)
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return core


def _byte_core() -> tokenizers.Tokenizer:
    # The byte-level alphabet maps byte to printable character; without merges, one token a byte.
    alphabet = _byte_alphabet()
    core = _bare_core(models.BPE(vocab={symbol: i for i, symbol in enumerate(alphabet)}, merges=[]))
    core.add_special_tokens([EOT])
    return core


def _byte_alphabet() -> list[str]:
    """Return the character by which GPT-2's byte-level alphabet shows each byte value."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(_BYTES) if byte not in shown]
    symbols = {byte: chr(byte) for byte in shown}
    symbols.update({byte: chr(_BYTES + rank) for rank, byte in enumerate(hidden)})
    return [symbols[byte] for byte in range(_BYTES)]


def _from_file(path: Path) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise ScalebedError(f"{path} is not a tokenizer.json: {error}") from error


def _adopt_file(params: Mapping[str, Any]) -> tokenizers.Tokenizer:
    name, path = params["tokenizer"], Path(params["path"])
    if not path.is_file():
        raise ScalebedError(f"tokenizer {name}: file {path} does not exist")
    merges = _merges_of(path, params.get("merges"))
    if merges is None:
        return _from_file(path)
    try:
        core = _bare_core(models.BPE.from_file(str(path), str(merges)))
    except Exception as error:  # the library raises bare Exception
        raise ScalebedError(
            f"tokenizer {name}: {path} and {merges} are not a vocabulary and its merges: {error}"
        ) from error
    core.add_special_tokens([params.get("eot") or EOT])
    return core


def _merges_of(vocab: Path, named: str | None) -> Path | None:
    """Return the merges that go with a GPT-2 style vocabulary; None for a tokenizer.json."""
    usual = {"vocab.json": "merges.txt", "encoder.json": "vocab.bpe"}
    if named is None and vocab.name not in usual:
        return None
    merges = Path(named) if named else vocab.with_name(usual[vocab.name])
    if not merges.is_file():
        raise ScalebedError(f"{merges}, the merges that go with {vocab}, does not exist")
    return merges


def _adopt_hub(params: Mapping[str, Any]) -> tokenizers.Tokenizer:
    import huggingface_hub

    try:
        # tokenizers' own from_pretrained ignores offline mode and panics without a network.
        file = huggingface_hub.hf_hub_download(
            params["path"], FILE, revision=params.get("revision")
        )
    except Exception as error:  # many unrelated types, all meaning: not to be had
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ScalebedError(
            f"cannot get tokenizer {params['path']!r} from the Hugging Face hub "
            f"(is this machine offline, or the name wrong?): {reason}"
        ) from error
    return _from_file(Path(file))


def _end_of_text(core: tokenizers.Tokenizer, params: Mapping[str, Any]) -> int:
    names = [params["eot"]] if params.get("eot") else _EOT_NAMES
    for name in names:
        identifier = core.token_to_id(name)
        if identifier is not None:
            return int(identifier)
    raise ScalebedError(
        f"tokenizer {params['tokenizer']} has no token {' or '.join(names)}; "
        "name its end-of-text token by the key eot"
    )
