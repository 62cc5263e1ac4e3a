"""What `scalebed generate` prints and refuses: hostile prompts, numbers and folders."""

import shutil
import unicodedata

import hostile_texts
import pytest

from scalebed.commands.cli import main
from scalebed.core.files import read_json, write_json
from scalebed.data.tokenizer import train_tokenizer
from scalebed.model import Decoder, ModelConfig, initialise, save_model

CELL = "results/cells/dataset=d/size=s/ratio=2/recipe=r/seed=0"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a folder with a model that nobody trained, which says any bytes there are."""
    root = tmp_path_factory.mktemp("generate")
    params = {"tokenizer": "t", "kind": "bytes", "numerics": 1}
    train_tokenizer(params, [], root / "results/tokenizers/t/manifest.json")
    model = Decoder(ModelConfig(16, 1, 1, vocab=257, context=32, ffn_multiple=8))
    initialise(model, 0)
    save_model(root / CELL, model, {"tokenizer": "t"})
    return root


@pytest.fixture(autouse=True)
def inside(project, monkeypatch):
    monkeypatch.chdir(project)


@pytest.mark.parametrize(
    "prompt", [hostile_texts.ALL, "a\x1b[2J\x9b31m\u202e\0", "<|endoftext|>", "", "\U0001f9ea"]
)
def test_prompt_and_text_drive_no_terminal(capsys, prompt):
    for words in (["--temperature", "0"], ["--temperature", "1e6"], []):
        assert main(["generate", "--cell", CELL, "--prompt", prompt, *words]) == 0
        said = capsys.readouterr().out
        assert said.startswith(prompt[:1])
        # Any bytes may spell a character that nobody has assigned, which is shown as it is.
        kinds = {unicodedata.category(letter) for letter in said.replace("\n", "").expandtabs()}
        assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--prompt", "a\udcff"], r"--prompt is 'a\udcff', expected text in UTF-8"),
        (["--tokens", "0"], "--tokens is 0, expected at least 1"),
        (["--temperature", "nan"], "--temperature is nan, expected 0 or at least 1e-06"),
        (["--temperature", "1e-320"], "expected 0 or at least 1e-06"),
        (["--temperature", "-1"], "--temperature is -1, expected 0"),
        (["--seed", str(2**64)], "expected a number of at most 64 bits"),
        (["--tokenizer", "a\nb\x1b"], r"cannot read a\nb\x1b: No such file"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(capsys, words, said):
    assert main(["generate", "--cell", CELL, *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert line.isprintable()


def test_a_cell_that_lies_elsewhere_needs_its_tokenizer(capsys):
    shutil.copytree(CELL, "moved")
    about = read_json("moved/model.json")
    for name in ("t", "../../x\n\x1b[2J", 5, None):
        write_json("moved/model.json", about | {"tokenizer": name})
        # However deep the folder of the test lies.
        assert main(["generate", "--cell", "moved", "--tokens", "3"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.isprintable()
    tokenizer = ["--tokenizer", "results/tokenizers/t/manifest.json"]
    assert main(["generate", "--cell", "moved", "--tokens", "3", *tokenizer]) == 0


def test_a_tokenizer_of_another_model_is_refused(capsys):
    model = Decoder(ModelConfig(16, 1, 1, vocab=200, context=32, ffn_multiple=8))
    save_model("results/cells/dataset=d/size=s/ratio=4/recipe=r/seed=0", model, {"tokenizer": "t"})
    assert main(["generate", "--cell", CELL.replace("ratio=2", "ratio=4")]) == 2
    assert "the tokenizer has 257 ids and the model 200" in capsys.readouterr().err
