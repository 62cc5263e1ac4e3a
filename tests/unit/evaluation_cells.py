"""A small invented language, its corpus, tokenizer and cells, for the tests of evaluation."""

from pathlib import Path

import numpy as np
import torch

from scalebed.core.files import read_json, sha256_file, write_json
from scalebed.data.corpus import extract_corpus
from scalebed.data.tokenizer import train_tokenizer
from scalebed.data.tokens import tokenize_corpus
from scalebed.evaluate.suites import BUILDERS
from scalebed.evaluate.suites.build import build_suite
from scalebed.model import Decoder, ModelConfig, initialise, save_model
from scalebed.model.saved import WEIGHTS

TASKS = sorted(BUILDERS)
CONTEXT = 64
VOCAB = 400

PATTERNS = (
    "The {A} {N} of the {N} is {D} by a {N} that has {D} the {P} from {N}.",
    "These {P} were {D} in the {A} {N} and are {D} with their {P} at the {N}.",
    "It {S} an {A} {N} as it was {D} on the {N} or for the {P}.",
    "The {P} have {D} to {V} this {A} {N} which does {V} its {A} {N}.",
    "Many {P} {V} the {A} {N} and do {V} to be {D} by the {A} {P} of {N}.",
    "A {N} {S} the {P} that {V} the {N} while its {A} {N} was {D} in {N}.",
    "This {N} has {D} the {A} {P} but these {P} are {D} for their {N}.",
)


def _words(rng: np.random.Generator, count: int) -> list[str]:
    syllables = [c + v for c in "bdfglmnprstv" for v in "aeiou"]
    drawn = [
        "".join(rng.choice(syllables, size=2)) + str(rng.choice(list("ktn")))
        for _ in range(9 * count)
    ]
    return list(dict.fromkeys(drawn))[:count]


def documents(count: int, seed: int = 0) -> list[str]:
    """Return texts of five sentences each."""
    rng = np.random.default_rng(seed)
    stems = _words(np.random.default_rng(99), 160)
    nouns = [stem + end for stem, end in zip(stems[:60], ["er", "ance", "tion"] * 20, strict=True)]
    adjectives = [stem + end for stem, end in zip(stems[60:100], ["al", "ous"] * 20, strict=True)]
    verbs = stems[100:160]

    def draw(slot: str) -> str:
        # Squared uniforms make some words far commoner than others.
        def pick(words: list[str]) -> str:
            return words[int(len(words) * rng.random() ** 2)]

        forms = {"N": (nouns, ""), "P": (nouns, "s"), "A": (adjectives, "")}
        forms |= {"V": (verbs, ""), "S": (verbs, "s"), "D": (verbs, "ed")}
        words, ending = forms[slot]
        return pick(words) + ending

    def sentence() -> str:
        text = str(rng.choice(PATTERNS))
        parts = text.split("{")
        return parts[0] + "".join(draw(part[0]) + part[2:] for part in parts[1:])

    return [" ".join(sentence() for _ in range(5)) for _ in range(count)]


class World:
    """A corpus, a tokenizer, tokens, a suite of every task and two cells in a folder."""

    def __init__(self, folder: Path, items: int = 60) -> None:
        self.folder = folder
        torch.set_num_threads(1)  # two test processes share two cores
        source = folder / "text"
        source.mkdir(parents=True)
        for i, text in enumerate(documents(600)):
            (source / f"{i}.txt").write_text(text)
        self.corpus = folder / "corpus" / "manifest.json"
        split = {"train": 30, "val": 10, "tasks": 60}
        options = {"paths": [str(source / "*.txt")]}
        corpus = {"corpus": "invented", "reader": "files", "options": options}
        extract_corpus(corpus | {"split": split, "numerics": 1}, self.corpus)
        self.tokenizer = folder / "tokenizer" / "manifest.json"
        spec = {"tokenizer": "small", "kind": "bpe", "vocab": VOCAB, "corpora": ["invented"]}
        train_tokenizer(spec | {"bytes": 10**6, "numerics": 1}, [self.corpus], self.tokenizer)
        self.tokens = folder / "tokens" / "manifest.json"
        tokenize_corpus({"numerics": 1}, self.corpus, self.tokenizer, self.tokens)
        self.suite = folder / "suite" / "manifest.json"
        self.build(self.suite, items)
        self.fresh = self.cell("fresh", steps=0)
        self.trained = self.cell("trained", steps=60)

    def build(self, out: Path, items: int, tasks: list[str] = TASKS) -> dict:
        params = {"suite": "cloze", "corpus": "invented", "tasks": tasks, "items": items}
        params |= {"seed": 1, "context_chars": 60, "sentence_chars": 1000, "numerics": 1}
        return build_suite(self.corpus, params, out)

    def cell(self, name: str, steps: int, status: str = "done", vocab: int = VOCAB) -> Path:
        """Write a cell whose model has taken `steps` steps of training; return metrics.json."""
        config = ModelConfig(
            width=16, layers=2, heads=2, vocab=vocab, context=CONTEXT, ffn_multiple=16
        )
        model = Decoder(config)
        initialise(model, seed=3)
        if steps:
            self._train(model, steps)
        folder = self.folder / name
        save_model(folder, model, {})
        coordinates = {"dataset": "invented", "size": "s", "ratio": 1, "recipe": "r", "seed": 0}
        record = {"cell": coordinates, "status": status, "reason": None}
        weights = sha256_file(folder / WEIGHTS) if status == "done" else None
        write_json(folder / "metrics.json", record | {"weights_sha256": weights})
        return folder / "metrics.json"

    def _train(self, model: Decoder, steps: int) -> None:
        manifest = read_json(self.tokens)
        shard = manifest["splits"]["train"]["shards"][0]["name"]
        ids = np.fromfile(self.tokens.parent / shard, dtype=manifest["dtype"]).astype(np.int64)
        rng = np.random.default_rng(0)
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(steps):
            starts = rng.integers(len(ids) - CONTEXT - 1, size=8)
            batch = torch.from_numpy(np.stack([ids[i : i + CONTEXT + 1] for i in starts]))
            optimiser.zero_grad()
            model.loss(batch[:, :-1], batch[:, 1:]).objective.backward()
            optimiser.step()
