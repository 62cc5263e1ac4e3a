"""The command line: its verbs, its help and its exit statuses."""

import argparse
import errno
import importlib
import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from small_study import study_values

from scalebed.commands import cli
from scalebed.commands.cli import CONTRIBUTORS, PEOPLE, command, main
from scalebed.commands.declare import parse_params
from scalebed.commands.rules import RULES
from scalebed.core.cells import CELL
from scalebed.core.errors import ScalebedError
from scalebed.study.load import load_any

ROOT = Path(__file__).parents[3]
EXAMPLES = PEOPLE | CONTRIBUTORS
VERBS = (*EXAMPLES, *RULES)
HELPERS = (
    *("cli", "declare", "extras", "interrupted", "lines", "rules", "source_options"),
    *("surroundings", "targets", "training", "written"),
)
DECLARED = {verb: rule for verb, rule in RULES.items() if rule is not None}
HEAVY = "{'torch', 'pandas', 'scipy', 'numpy', 'pydantic', 'yaml', 'duckdb'}"


def parser_of(verb):
    parser = argparse.ArgumentParser(prog=verb)
    command(verb).arguments(parser)
    return parser


def help_text(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main([*words, "--help"])
    assert caught.value.code == 0
    return capsys.readouterr().out


def rules_of_the_workflow():
    """Yield each rule that runs a verb, with that verb."""
    for file in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for part in re.split(r"(?m)^rule ", file.read_text(encoding="utf-8"))[1:]:
            (verb,) = re.findall(r"python -m scalebed ([a-z-]+) ", part)
            yield part.partition(":")[0], verb


def test_every_file_is_a_verb_and_no_verb_is_there_twice():
    files = {file.stem for file in Path(cli.__file__).parent.glob("[a-z]*.py")} - {*HELPERS}
    own = [*EXAMPLES, *(verb for verb in RULES if verb not in DECLARED)]
    assert {verb.replace("-", "_") for verb in own} == files
    assert len({*VERBS}) == len(VERBS)


def test_the_table_holds_what_the_rules_run_and_nothing_else():
    of_rules = {rule: verb for rule, verb in rules_of_the_workflow() if verb not in PEOPLE}
    assert of_rules == {verb.replace("-", "_"): verb for verb in RULES}


def test_help_names_what_people_type_first_then_what_rules_run(capsys):
    text = help_text(capsys)
    found = re.findall(
        r"(?m)^  (?:scalebed )?([a-z]+(?:-[a-z]+)*) ", text.partition("\noptions")[0]
    )
    assert found == [*VERBS]
    heads = ("Commands, an example each", "For who works on scalebed", "Run by the rules")
    firsts = (VERBS[0], *CONTRIBUTORS, next(iter(RULES)))
    places = [
        text.index(part)
        for head, first in zip(heads, firsts, strict=True)
        for part in (f"\n{head}", f" {first} ")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("verb", VERBS)
def test_a_summary_is_one_short_sentence(verb):
    summary = cli._summary(verb)
    assert re.fullmatch(r"[A-Z].*[^.]\.", summary)
    assert len(summary) < 100


@pytest.mark.parametrize("verb", EXAMPLES)
def test_each_example_is_in_the_help_and_parses(verb, capsys):
    assert f"\n  scalebed {verb} {EXAMPLES[verb]}\n" in help_text(capsys)
    parser_of(verb).parse_args(shlex.split(EXAMPLES[verb]))


def test_examples_are_about_the_default_study():
    given = {verb: parser_of(verb).parse_args(shlex.split(EXAMPLES[verb])) for verb in EXAMPLES}
    study = load_any(ROOT / given["plan"].study)
    assert given["show-predictions"].database.parts[-3:] == ("studies", study.name, "study.duckdb")
    for verb in ("compare", "calibrate", "contrast"):
        assert given[verb].study == study.name
    assert set(given["contrast"].datasets) <= set(study.datasets)
    paths = [f"results/cells/{CELL.format(**cell._asdict())}" for cell in study.cells()]
    assert str(given["generate"].cell) in paths


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_declares_arguments_and_says_what_they_mean(verb):
    chosen = command(verb)
    assert list(inspect.signature(chosen.run).parameters) == ["args"]
    for action in parser_of(verb)._actions:
        assert action.help, f"{verb} {action.option_strings} has no help"


@pytest.mark.parametrize("verb", DECLARED)
def test_a_function_takes_what_its_rule_declares(verb):
    module, _, name = DECLARED[verb].function.partition(":")
    function = getattr(importlib.import_module(module), name)
    names = [action.dest for action in parser_of(verb)._actions if action.dest != "help"]
    inspect.signature(function).bind(**dict.fromkeys(names))


def test_a_rule_calls_its_function_with_what_was_typed(monkeypatch):
    seen = []
    monkeypatch.setattr("scalebed.evaluate.losses.evaluate_losses", lambda **had: seen.append(had))
    params = {"sets": {}, "resamples": 1, "seed": 2, "numerics": 3}
    words = ["--params", str(params).replace("'", '"'), "--cell", "c", "--out", "o"]
    words += ["--validation", "a=x=1", "b=y", "--validation", "c=z"]
    assert main(["evaluate-losses", *words]) == 0
    validation = {"a": Path("x=1"), "b": Path("y"), "c": Path("z")}
    paths = {"cell": Path("c"), "validation": validation, "out": Path("o")}
    assert seen == [{"params": params, "threads": 1, **paths}]


def test_a_word_without_a_manifest_is_told_in_a_sentence(capsys):
    words = ["--cell", "c", "--out", "o", "--validation", "a=x", "b"]
    assert main(["evaluate-losses", *words]) == 2
    error = "--validation 'b' is not of the form NAME=MANIFEST"
    assert capsys.readouterr().err == f"scalebed evaluate-losses: error: {error}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "--params is not JSON"),
        ("[1]", "--params is a list, expected an object"),
        ('{"a": 1}', "--params lacks the key 'b'"),
        ('{"a": 1, "b": 2, "d": 3}', "--params has the unknown key 'd', expected a, b, c"),
    ],
)
def test_params_that_cannot_be_are_told_in_a_sentence(text, words):
    with pytest.raises(ScalebedError, match=words):
        parse_params(text, ("a", "b"), ("c",))


def test_params_may_have_any_keys_where_none_are_named():
    assert parse_params('{"a": 1, "b": [2]}') == {"a": 1, "b": [2]}
    assert parse_params('{"a": 1, "c": 2}', ("a",), ("c",)) == {"a": 1, "c": 2}


@pytest.mark.parametrize(
    "verb",
    [verb for verb in DECLARED if any(name == "--params" for name, _ in DECLARED[verb].options)],
)
def test_every_rule_refuses_params_that_are_no_object(verb, capsys):
    words = []
    for name, settings in DECLARED[verb].options:
        value = "a=b" if "metavar" in settings else "none"
        words += [name, "7" if name in ("--params", "--threads") else value]
    assert main([verb, *words]) == 2
    assert re.fullmatch(f"scalebed {verb}: error: --params .*\n", capsys.readouterr().err)


def test_help_of_a_verb(capsys):
    assert "--budget-core-hours" in help_text(capsys, "plan")
    assert "Draw one figure of a study" in help_text(capsys, "plot-figure")


@pytest.mark.parametrize("words", [[], ["trian-cell"], ["plan", "--colour"]])
def test_wrong_words_end_with_status_2(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_an_error_is_one_sentence_and_status_2(tmp_path, capsys):
    assert main(["plan", "--study", str(tmp_path / "none.yaml")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("scalebed plan: error: cannot read the study file")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("cannot take 8 GB"), "the memory .* not suffice: cannot take 8 GB"),
        (RuntimeError("CUDA out of memory.\nTried 2 GiB"), "the memory .*: CUDA out of memory. T"),
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: No space left on device"),
        (OSError(errno.EROFS, "Read-only file system"), ".*Read-only file system"),
    ],
)
def test_what_the_machine_does_not_give_is_one_sentence(error, said, capsys, monkeypatch):
    assert failed(error, monkeypatch) == 2
    assert re.fullmatch(rf"scalebed ledger: error: {said}.*\n", capsys.readouterr().err)


@pytest.mark.parametrize("error", [RuntimeError("memory"), OSError(errno.ENOENT, "no file")])
def test_what_may_be_a_bug_shows_its_traceback(error, monkeypatch):
    with pytest.raises(type(error)):
        failed(error, monkeypatch)


def failed(error, monkeypatch):
    """Return the exit status of a verb that ends with an error."""

    def run(args: argparse.Namespace) -> None:
        raise error

    monkeypatch.setattr("scalebed.commands.ledger.run", run)
    return main(["ledger", "seals"])


@pytest.mark.parametrize(
    ("words", "status"),
    [(["no-such-verb"], 2), (["--help"], 0), (["evaluate-losses"], 2)],
    ids=["typing error", "help", "rule"],
)
def test_help_and_typing_errors_import_nothing_heavy(words, status):
    code = (
        "import sys\n"
        "from scalebed.commands.cli import main\n"
        f"try:\n    main({words})\n"
        f"except SystemExit as error:\n    assert error.code == {status}\n"
        f"sys.exit(', '.join({HEAVY} & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_module_runs():
    done = subprocess.run(
        [sys.executable, "-m", "scalebed", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip()


def test_a_reader_that_stops_reading_is_no_error(tmp_path):
    command = f"{sys.executable} -m scalebed plan --no-calibration --study {study_file(tmp_path)}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} | true"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")


def study_file(folder: Path) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study_values()), encoding="utf-8")
    return path


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("Query interrupted")])
def test_what_is_stopped_by_a_signal_says_a_word(error, monkeypatch, capsys):
    def stop() -> None:
        raise error

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(cli, "_parser", stop)
    with pytest.raises(KeyboardInterrupt) as caught:
        cli.main(["ledger"])
    sys.excepthook(caught.type, caught.value, caught.tb)
    assert capsys.readouterr().err == "scalebed: interrupted\n"


def test_want_of_memory_is_told_with_the_memory_of_what_failed(monkeypatch, capsys):
    failed = MemoryError("nothing left")

    def run(_args) -> None:
        raise failed

    def short(text):
        if failed.__traceback__ is not None:
            raise MemoryError
        return text

    verb = SimpleNamespace(arguments=lambda parser: None, run=run, __doc__="Run.")
    monkeypatch.setattr(cli, "command", lambda _: verb)
    monkeypatch.setattr(cli, "sentence", short)
    assert cli.main(["ledger"]) == 2
    assert capsys.readouterr().err.endswith("does not suffice: nothing left\n")


def test_other_errors_of_a_run_show_where_they_come_from(monkeypatch):
    def fail() -> None:
        raise RuntimeError("Query failed")

    before = sys.excepthook
    monkeypatch.setattr(cli, "_parser", fail)
    with pytest.raises(RuntimeError, match="Query failed"):
        cli.main(["ledger"])
    assert sys.excepthook is before


PANIC = """
import os, resource, sys
os.environ["TOKENIZERS_PARALLELISM"] = "true"
from pathlib import Path
from types import SimpleNamespace
from types import SimpleNamespace
import tokenizers
from tokenizers import models, trainers
from scalebed.commands import cli
def run(args):
    core, trainer = tokenizers.Tokenizer(models.BPE()), trainers.BpeTrainer(show_progress=False)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (4096 * pages + (2 << 20),) * 2)
    core.train_from_iterator(["some words " * 50] * 50, trainer)
cli.command = lambda verb: SimpleNamespace(arguments=lambda parser: None, run=run)
sys.exit(cli.main(["train-tokenizer"]))
"""


@pytest.mark.parametrize(
    "said",
    [
        "OS can't spawn worker thread: Resource temporarily unavailable (os error 11)",
        "The global thread pool has not been initialized.: ThreadPoolBuildError",
    ],
)
def test_panics_for_want_of_threads_are_known_by_their_words(said, monkeypatch, capsys):
    class PanicException(BaseException):
        """As libraries in Rust raise it."""

    def run(args):
        raise PanicException(said)

    verb = SimpleNamespace(arguments=lambda parser: None, run=run)
    monkeypatch.setattr(cli, "command", lambda name: verb)
    assert cli.main(["bundle-script"]) == 2
    assert f"does not suffice: {said}" in capsys.readouterr().err


def test_a_library_that_panics_for_want_of_threads_is_a_sentence():
    done = subprocess.run([sys.executable, "-c", PANIC], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("scalebed train-tokenizer: error: the memory of this machine, or what")
