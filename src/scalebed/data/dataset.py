"""A data set for training: which tokens of which corpora, each at most once an epoch."""

import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.core.files import sha256_file, write_json
from scalebed.data.corpus import read_manifest
from scalebed.data.tokens import check_same_tokenizer


def build_dataset(params: Mapping[str, Any], tokens: Sequence[Path], out: Path) -> dict[str, Any]:
    """Write the manifest of a data set: a view on the train splits of token manifests.

    Of each source k the first n_k tokens are taken (documents are shuffled, so these are a random
    sample), with n_k = floor(w_k T) for weights w_k that are scaled to sum to one, where
    T = min_k(available_k / w_k) is the most that the scarcest source allows without repeating
    a token, or the cap if that is less.

    Parameters
    ----------
    params
        ``dataset`` (name), ``sources`` ({corpus: weight}) and optionally ``tokens`` (cap).
    tokens
        Token manifests of the corpora named in ``sources``, made by one tokenizer.
    out
        Where the manifest goes.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ScalebedError
        On a bad weight or cap, a missing corpus, or different tokenizers.
    """
    name = params["dataset"]
    weights = _weights(name, params["sources"])
    paths = {read_manifest(path, "tokens")["corpus"]: path for path in tokens}
    chosen = _chosen(name, weights, paths)
    total = _total(name, weights, chosen, params.get("tokens"))
    sources = [
        {
            "corpus": corpus,
            "weight": params["sources"][corpus],
            "tokens": int(weight * total),
            "manifest": Path(os.path.relpath(paths[corpus], out.parent)).as_posix(),
            "manifest_sha256": sha256_file(paths[corpus]),
        }
        for corpus, weight in weights.items()
    ]
    taken = sum(source["tokens"] for source in sources)
    first = next(iter(chosen.values()))
    manifest = {
        "kind": "dataset",
        "dataset": name,
        **{key: first[key] for key in ("tokenizer", "vocab", "eot", "dtype")},
        "tokens": taken,
        "unique_tokens": taken,
        "sources": sources,
        "params": dict(params),
    }
    write_json(out, manifest)
    return manifest


def _chosen(
    name: str, weights: Mapping[str, Fraction], paths: Mapping[str, Path]
) -> dict[str, dict[str, Any]]:
    """Return the token manifests of the sources, all made by one tokenizer."""
    chosen = {}
    for corpus in weights:
        if corpus not in paths:
            raise ScalebedError(f"data set {name}: no tokens of corpus {corpus!r} were given")
        chosen[corpus] = read_manifest(paths[corpus], "tokens")
        if "train" not in chosen[corpus]["splits"]:
            raise ScalebedError(f"data set {name}: corpus {corpus} has no train split")
    check_same_tokenizer(list(chosen.values()))
    return chosen


def _total(
    name: str,
    weights: Mapping[str, Fraction],
    chosen: Mapping[str, Mapping[str, Any]],
    cap: Any,
) -> Fraction:
    """Return T, the tokens to share out."""
    total = min(
        Fraction(chosen[corpus]["splits"]["train"]["tokens"]) / weight
        for corpus, weight in weights.items()
    )
    if cap is None:
        return total
    if isinstance(cap, bool) or not isinstance(cap, int) or cap < 1:
        raise ScalebedError(f"data set {name}: tokens is {cap!r}, expected a positive integer")
    return min(total, Fraction(cap))


def _weights(name: str, sources: Any) -> dict[str, Fraction]:
    """Return the weights of the sources as fractions that sum to one, sorted by corpus."""
    if not isinstance(sources, dict) or not sources:
        raise ScalebedError(f"data set {name} has no sources, expected at least one corpus")
    for corpus, weight in sources.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight > 0:
            raise ScalebedError(
                f"data set {name}: weight of {corpus} is {weight!r}, expected a number above 0"
            )
    # Through str, 0.1 becomes exactly 1/10 and equal weights stay equal.
    exact = {corpus: Fraction(str(sources[corpus])) for corpus in sorted(sources)}
    return {corpus: weight / sum(exact.values()) for corpus, weight in exact.items()}
