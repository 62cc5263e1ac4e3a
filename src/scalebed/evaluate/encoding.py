"""Text of requests to tokens, kept so that the cells of a study encode a suite once."""

import hashlib
import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scalebed.core.digests import intact
from scalebed.core.errors import ScalebedError
from scalebed.core.files import atomic_path
from scalebed.data.tokenizer import Tokenizer
from scalebed.evaluate.scoring import Request, Tokens

logger = logging.getLogger(__name__)

Pairs = Sequence[tuple[str, str]]


def encode_pairs(tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]]) -> list[Request]:
    """Return the tokens of (context, continuation) pairs, cut where the encoded context ends.

    Spaces at the end of a context belong to the continuation, so that words keep the boundaries
    they have in training.
    """
    contexts, wholes = [], []
    for context, continuation in pairs:
        contexts.append(context.rstrip())
        wholes.append(context + continuation)
    unique = list(dict.fromkeys(contexts))
    ids = tokenizer.encode_batch(unique)
    heads: dict[str, Tokens] = {
        text: tuple(head.tolist()) for text, head in zip(unique, ids, strict=True)
    }
    prefix = (tokenizer.eot,)
    requests = []
    for context, whole in zip(contexts, tokenizer.encode_batch(wholes), strict=True):
        head = heads[context]
        requests.append(Request(head or prefix, tuple(whole[len(head) :].tolist())))
    return requests


class Encoder:
    """`encode_pairs` that remembers its results in a folder.

    Parameters
    ----------
    tokenizer
        The tokenizer.
    identity
        SHA-256 of its file, part of the name under which results are kept.
    folder
        Where results are kept.
    """

    def __init__(self, tokenizer: Tokenizer, identity: str, folder: Path) -> None:
        self._tokenizer = tokenizer
        self._identity = identity
        self._folder = folder

    def __call__(self, pairs: Pairs) -> list[Request]:
        """Return the tokens of (context, continuation) pairs; see `encode_pairs`."""
        hasher = hashlib.sha256(self._identity.encode())
        for context, continuation in pairs:
            hasher.update(f"{len(context)} {len(continuation)} {context}{continuation}".encode())
        path = self._folder / f"{hasher.hexdigest()[:16]}.npz"
        kept = _read(path, len(pairs))
        if kept is None:
            kept = encode_pairs(self._tokenizer, pairs)
            _write(path, kept)
        return kept


def _write(path: Path, requests: Sequence[Request]) -> None:
    lengths = [[len(request.context), len(request.continuation)] for request in requests]
    tokens = [token for request in requests for part in request for token in part]
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, lengths=np.array(lengths, np.int64), tokens=np.array(tokens, np.int64))


def _read(path: Path, count: int) -> list[Request] | None:
    if not path.is_file():
        return None
    try:
        with intact(path).open("rb") as file, np.load(file) as arrays:
            lengths, tokens = arrays["lengths"], arrays["tokens"].tolist()
        if lengths.shape != (count, 2) or lengths.sum() != len(tokens):
            raise ValueError("its counts do not add up")
    except (ScalebedError, OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("ignoring the kept tokens %s, encoding again: %s", path, error)
        return None
    ends = lengths.ravel().cumsum().tolist()
    starts = [0, *ends[:-1]]
    parts = [tuple(tokens[start:end]) for start, end in zip(starts, ends, strict=True)]
    return [Request(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
