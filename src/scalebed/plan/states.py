"""Which cells are done, which are not, and why: results on disk against today's study."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, sha256_file
from scalebed.core.permission import settled
from scalebed.core.provenance import state_digest
from scalebed.data.enough import epoch_tokens
from scalebed.data.localfiles import path_digest
from scalebed.data.readers import source_digest
from scalebed.plan import rule_params
from scalebed.study.trained import Study

CELLS = "results/cells"
_ABSENT = "none"


class State(NamedTuple):
    """Where a cell stands."""

    name: str
    """``done``, ``diverged``, ``failed``, ``stale`` or ``missing``."""
    reason: str
    """Why, in words; empty for a cell that is simply done or missing."""
    seconds: float | None = None
    """Seconds the training took, if it is over and need not be repeated."""

    @property
    def to_train(self) -> bool:
        """Whether a run would train the cell."""
        return self.name in ("stale", "missing")


class Upstream(NamedTuple):
    """What is known of a data set before a run."""

    sources: list[int] | None
    """Tokens of each source: from its manifest, else as the study declares, else unknown."""
    sha256: str | None
    """Checksum of its manifest; None when there is none yet."""
    changes: list[str]
    """How the data on disk differ from what the study asks for."""

    def epoch_tokens(self, context: int) -> int | None:
        """Return the tokens that one epoch trains on, or None when unknown."""
        if self.sources is None:
            return None
        return epoch_tokens(self.sources, context)


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """Return one line for each value that differs, as ``key: old -> new``.

    Parameters
    ----------
    old, new
        Nested dictionaries of built-in values; anything else is compared as a whole.
    key
        Dotted path of the two values, empty at the top.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for name in sorted(old.keys() | new.keys()):
            path = f"{key}.{name}" if key else name
            found += differences(old.get(name), new.get(name), path)
        return found
    # A JSON round trip turns tuples into lists; 1 and 1.0 are one number, 1 and True are not.
    same = old == new and isinstance(old, bool) == isinstance(new, bool)
    return [] if same else [f"{key}: {_short(old)} -> {_short(new)}"]


def _short(value: Any) -> str:
    if value is None:
        return _ABSENT
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."


def upstream(study: Study, name: str, root: Path) -> Upstream:
    """Return what is known of a data set, its tokens and the corpora behind it.

    Raises
    ------
    ScalebedError
        If its manifest is not readable.
    """
    spec = study.datasets[name]
    manifest = root / "results/datasets" / name / "manifest.json"
    tokens = None if spec.tokens is None else [spec.tokens]
    sha256 = None
    if manifest.is_file():
        tokens = [source["tokens"] for source in read_json(manifest)["sources"]]
        sha256 = sha256_file(manifest)
    corpora = sorted({*spec.sources, *study.tokenizers[spec.tokenizer].corpora})
    wanted = [
        (f"results/corpora/{corpus}", corpus, rule_params.corpus(study, corpus))
        for corpus in corpora
    ]
    wanted += [
        (
            f"results/tokenizers/{spec.tokenizer}",
            spec.tokenizer,
            rule_params.tokenizer(study, spec.tokenizer),
        )
    ]
    wanted += [(f"results/datasets/{name}", name, rule_params.dataset(study, name))]
    changes = []
    for folder, label, params in wanted:
        record = root / folder / "manifest.json"
        if record.is_file():
            changes += differences(read_json(record).get("params"), params, label)
    changes += _changed_text(study, corpora, root)
    return Upstream(tokens, sha256, changes)


def _changed_text(study: Study, corpora: list[str], root: Path) -> list[str]:
    """Say which corpora would be read anew, because their files or packages are others now."""
    found = []
    for name in corpora:
        record = root / "results/corpora" / name / "manifest.json"
        spec = study.corpora[name]
        if record.is_file():
            old = read_json(record).get("source_digest")
            if old is not None and old != source_digest(spec.reader, spec.options):
                found.append(f"{name}: its text is another one")
    return found


def judge(spec: dict[str, Any], path: str, data: Upstream, root: Path) -> State:
    """Return where a cell stands.

    Parameters
    ----------
    spec
        The parameters a run would train the cell with.
    path
        Path of the cell below ``results/cells``.
    data
        What is known of its data set.
    root
        Folder that holds ``results`` and ``state``.
    """
    file = root / CELLS / path / "metrics.json"
    if not file.is_file():
        begun = root / "state" / path / state_digest(spec, data.sha256 or "")
        return State("missing", "a part is trained and will be resumed" if begun.is_dir() else "")
    try:
        metrics = read_json(file)
        old, sha256, status = metrics["params"], metrics["dataset_sha256"], metrics["status"]
    except (ScalebedError, KeyError, TypeError):
        return State("missing", f"{file.name} is not a readable record")
    reasons = differences(old, settled(spec, metrics))
    if "checkpoint" in spec:  # trained elsewhere, so text on disk says nothing of it
        if path_digest(Path(spec["checkpoint"])) != (metrics.get("checkpoint") or {}).get("digest"):
            reasons.append("checkpoint: it is another file")
    elif data.changes:
        reasons.append(f"data: {'; '.join(data.changes)}")
    elif data.sha256 is not None and data.sha256 != sha256:
        reasons.append("data changed")
    if reasons:
        return State("stale", "; ".join(reasons))
    reason = "" if status == "done" else str(metrics.get("reason") or "")
    return State(status, reason, metrics.get("seconds"))
