"""Data sets that are too small for the cells of a study are refused by name."""

from pathlib import Path
from typing import Any

import pytest

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, write_json
from scalebed.data.enough import check_enough, epoch_tokens


def manifests(root: Path, **sources: list[int]) -> list[Path]:
    found = []
    for name, tokens in sources.items():
        path = root / name / "manifest.json"
        write_json(path, {"dataset": name, "sources": [{"tokens": count} for count in tokens]})
        found.append(path)
    return found


def needed(dataset: str, tokens: int, context: int = 16) -> dict[str, Any]:
    cell = f"dataset={dataset}/size=big/ratio=20/recipe=base/seed=0"
    return {"dataset": dataset, "context": context, "cell": cell, "tokens": tokens}


def test_an_epoch_is_of_whole_sequences_of_each_source() -> None:
    assert epoch_tokens([33, 48], 16) == 32 + 32
    assert epoch_tokens([0, 16], 16) == 0


def test_enough_tokens_leave_a_record(tmp_path: Path) -> None:
    params = {"study": "mine", "needed": [needed("red", 64), needed("blue", 16)]}
    check_enough(params, manifests(tmp_path, red=[33, 48], blue=[17]), tmp_path / "tokens.json")
    rows = read_json(tmp_path / "tokens.json")["datasets"]
    assert [(row["dataset"], row["tokens"], row["available"]) for row in rows] == [
        ("red", 64, 64),
        ("blue", 16, 16),
    ]


def test_every_data_set_that_is_too_small_is_named_with_its_cell(tmp_path: Path) -> None:
    rows = [needed("red", 65), needed("blue", 16), needed("green", 3200, 32)]
    paths = manifests(tmp_path, red=[33, 48], blue=[17], green=[2000])
    with pytest.raises(ScalebedError) as error:
        check_enough({"study": "mine", "needed": rows}, paths, tmp_path / "tokens.json")
    said = str(error.value)
    assert said.startswith("study mine: ")
    assert f"{rows[0]['cell']} needs 65 tokens, but data set red has 64" in said
    assert f"{rows[2]['cell']} needs 3,200 tokens, but data set green has 1,984" in said
    assert "blue" not in said
    assert said.endswith("or set allow_repeats: true")
    assert not (tmp_path / "tokens.json").exists()
