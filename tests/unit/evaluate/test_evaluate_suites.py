import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from evaluation_cells import TASKS, World, documents

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, sha256_file
from scalebed.evaluate.digests import read_task, suite_digests, task_digest
from scalebed.evaluate.loading import read_items
from scalebed.evaluate.suites import BUILDERS
from scalebed.evaluate.suites.build import build_items
from scalebed.evaluate.suites.pool import clip, sentences_of, split_sentences, usable


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return documents(700, seed=5)


@pytest.fixture(scope="module")
def items(texts: list[str]) -> dict[str, list[dict]]:
    return build_items(texts, TASKS, 150, seed=0, context_chars=60)


def test_sentences_end_at_full_stops_but_not_at_initials_and_abbreviations() -> None:
    text = "It was J. R. Smith who met Dr. Jones. They left at 5 p.m. in May.  Who knew? (Nobody.)"
    assert split_sentences(text) == [
        "It was J. R. Smith who met Dr. Jones.",
        "They left at 5 p.m. in May.",
        "Who knew?",
        "(Nobody.)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Too few words here.",
        "this one begins with a small letter and is long enough.",
        "One bracket (is never closed in this otherwise very fine sentence.",
        'An odd number of "quotation marks makes a sentence of no use here.',
        "This sentence has no full stop at its end but enough words",
        "The \u00e9tude is not spelled in plain letters of the alphabet alone.",
        " ".join(["Word"] + ["word"] * 28) + ".",
    ],
)
def test_odd_sentences_are_not_used(text: str) -> None:
    assert not usable(text)


def test_contexts_are_whole_words_within_the_limit() -> None:
    assert clip("the quick brown fox", 100) == "the quick brown fox"
    assert clip("the quick brown fox", 9) == "brown fox"
    assert clip("the quick brown fox", 8) == "fox"
    assert clip("the quick brown fox", 0) == ""


def test_a_context_is_the_sentence_before_in_the_same_paragraph(texts: list[str]) -> None:
    first, second = split_sentences(texts[0])[:2]
    found = sentences_of([f"Title\n{texts[0]}"], 1000)
    assert found[0].context == ""
    assert found[1].text == second
    assert found[1].context == first


def test_every_task_has_the_wanted_items_with_the_right_shape(items: dict) -> None:
    assert set(items) == set(TASKS)
    for name, some in items.items():
        assert len(some) == 150
        for item in some:
            assert len(item["choices"]) == len(set(item["choices"])) == BUILDERS[name].choices
            assert 0 <= item["gold"] < len(item["choices"])
            assert item["query"].strip() == item["query"] != ""
            assert all(choice.strip() == choice != "" for choice in item["choices"])


def test_the_right_choice_completes_a_sentence_of_the_text(items: dict, texts: list[str]) -> None:
    known = {sentence.text for sentence in sentences_of(texts, 0)}
    for some in items.values():
        for item in some:
            whole = f"{item['query']} {item['choices'][item['gold']]}"
            assert split_sentences(whole)[-1] in known or any(whole.endswith(s) for s in known)
            wrong = [c for i, c in enumerate(item["choices"]) if i != item["gold"]]
            assert not any(split_sentences(f"{item['query']} {c}")[-1] in known for c in wrong)


def test_no_sentence_serves_two_items(items: dict) -> None:
    used = [
        split_sentences(f"{item['query']} {item['choices'][item['gold']]}")[-1]
        for some in items.values()
        for item in some
    ]
    assert len(used) == len(set(used))


def test_the_place_of_the_right_choice_says_nothing(items: dict) -> None:
    for name, some in items.items():
        k = BUILDERS[name].choices
        counts = np.bincount([item["gold"] for item in some], minlength=k)
        spread = np.sqrt(len(some) * (1 / k) * (1 - 1 / k))
        assert np.abs(counts - len(some) / k).max() < 4 * spread


def test_each_form_is_right_equally_often(items: dict) -> None:
    first = [item["choices"][item["gold"]].split()[0] for item in items["agree2"]]
    counts = Counter(first)
    pairs = [("is", "are"), ("was", "were"), ("has", "have"), ("does", "do"), ("this", "these")]
    for one, other in [*pairs, ("its", "their")]:
        assert abs(counts[one] - counts[other]) <= 1
        assert counts[one] + counts[other] > 0
    places = Counter(
        sorted(choice.split()[0] for choice in item["choices"]).index(
            item["choices"][item["gold"]].split()[0]
        )
        for item in items["inflect3"]
    )
    assert set(places.values()) == {50}


def test_items_are_a_function_of_text_and_seed(items: dict, texts: list[str]) -> None:
    assert build_items(texts, TASKS, 150, seed=0, context_chars=60) == items
    assert build_items(texts, TASKS, 150, seed=1, context_chars=60) != items
    # A task that takes sentences after the others leaves them as they are.
    fewer = [name for name in TASKS if name != "continuation4"]
    without = build_items(texts, fewer, 150, seed=0, context_chars=60)
    assert without == {name: items[name] for name in fewer}


def test_too_few_sentences_and_unknown_tasks_are_told(texts: list[str]) -> None:
    with pytest.raises(ScalebedError, match="the task agree2 wants 500 items, but the 100 usable"):
        build_items(texts[:20], TASKS, 500, seed=0, context_chars=60)
    with pytest.raises(ScalebedError, match="no builder for the task 'guess9'"):
        build_items(texts, ["guess9"], 10, seed=0, context_chars=60)


def test_a_suite_is_written_with_its_sizes_and_the_same_twice(tmp_path: Path) -> None:
    world = World(tmp_path, items=20)
    manifest = read_json(world.suite)
    assert manifest["tasks"]["order4"]["chance_error"] == 0.75
    for entry in manifest["tasks"].values():
        file = world.suite.parent / entry["name"]
        assert sha256_file(file) == entry["sha256"]
        assert len(file.read_text().splitlines()) == entry["items"] == 20
    other = tmp_path / "again" / "manifest.json"
    world.build(other, 20)
    assert other.read_bytes() == world.suite.read_bytes()


def test_a_truncated_suite_is_set_aside(tmp_path: Path) -> None:
    world = World(tmp_path, items=20)
    file = world.suite.parent / "swap2.jsonl"
    file.write_text(file.read_text()[:-50])
    with pytest.raises(ScalebedError, match=r"swap2\.jsonl has \d+ bytes, expected"):
        read_items(world.suite, "swap2")
    assert not world.suite.exists()
    assert world.suite.with_name("manifest.json.bad").exists()


def test_every_builder_has_a_task_file_and_every_file_a_builder() -> None:
    assert set(task_digest()) == set(BUILDERS)


def test_a_digest_follows_its_file_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(
            json.dumps(
                {
                    "task": name,
                    "output_type": "multiple_choice",
                    "doc_to_text": "query",
                    "doc_to_choice": "choices",
                    "doc_to_target": "gold",
                    "metadata": {"version": 1},
                }
            )
        )
    before = task_digest(tmp_path)
    with (tmp_path / "one.yaml").open("a") as file:
        file.write("\n# a remark\n")
    after = task_digest(tmp_path)
    assert after["one"]["digest"] != before["one"]["digest"]
    assert after["two"] == before["two"]
    assert after["one"]["version"] == "1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: [", "is not valid YAML"),
        ("task: 2024-02-30", "day is out of range"),
        ("[" * 5000, "recursion"),
        ("- a list", "is not a mapping"),
        ("task: odd\noutput_type: multiple_choice", "lacks doc_to_text, doc_to_choice"),
    ],
)
def test_a_bad_task_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(ScalebedError, match=message):
        read_task(tmp_path / "odd.yaml")


def test_digests_tell_local_tasks_from_those_of_lm_eval() -> None:
    found = suite_digests(["swap2", "arc_easy"])
    assert found["swap2"] == task_digest()["swap2"]
    assert found["arc_easy"]["lm_eval"] == "arc_easy"
    assert found["arc_easy"]["digest"] != found["swap2"]["digest"]
