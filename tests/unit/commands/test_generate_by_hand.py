"""What `scalebed generate` asks of a model and prints, with a model that knows its answer."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from scalebed.commands.cli import main


class Letters:
    """A token a letter."""

    eot = 0
    vocab = 128

    def encode_batch(self, texts):
        return [np.array([ord(letter) for letter in text]) for text in texts]

    def decode(self, ids):
        return "".join(map(chr, ids))


def test_the_continuation_follows_the_prompt(monkeypatch, tmp_path, capsys):
    asked = []

    def load(path):
        asked.append(path)
        return Letters()

    def proceed(*given):
        asked.append(given)
        return [ord("c"), ord("d")]

    model = SimpleNamespace(config=SimpleNamespace(vocab=128))
    monkeypatch.setattr("scalebed.model.load_model", lambda cell: (model, {"tokenizer": "abc"}))
    monkeypatch.setattr("scalebed.model.generate.generate", proceed)
    monkeypatch.setattr("scalebed.data.tokenizer.load_tokenizer", load)
    cell = tmp_path / "results/cells/dataset=one/size=a/ratio=20/recipe=base/seed=0"
    words = ["generate", "--cell", str(cell), "--prompt", "ab", "--tokens", "2", "--seed", "3"]
    assert main(words) == 0
    assert capsys.readouterr().out == "abcd\n"
    manifest = tmp_path / "results/tokenizers/abc/manifest.json"
    assert asked == [manifest, (model, [0, ord("a"), ord("b")], 2, 0.8, 3)]
    assert main([*words, "--tokenizer", "other.json", "--temperature", "0"]) == 0
    assert asked[2:] == [Path("other.json"), (model, [0, ord("a"), ord("b")], 2, 0.0, 3)]
