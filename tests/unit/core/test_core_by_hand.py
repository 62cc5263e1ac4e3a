"""Amounts, pieces of trunks and digests against values worked out by hand or published."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from scalebed.core.errors import ScalebedError
from scalebed.core.imports import PACKAGE, closure, code_digest
from scalebed.core.quantities import amount_text, between
from scalebed.core.trunk_files import state_folders
from scalebed.core.trunks import legs, legs_beyond, with_steps
from scalebed.core.values import Training
from scalebed.core.verify import entry, verified


@pytest.mark.parametrize(
    ("value", "text"),
    [(999.4, "999"), (999.5, "1k"), (9.994e5, "999k"), (1.4e12, "1.4T"), (0.5, "0.5")],
)
def test_what_rounds_to_a_thousand_is_one_of_the_next(value: float, text: str) -> None:
    assert amount_text(value) == text


def test_an_interval_is_written_where_both_ends_are_known() -> None:
    assert between(6.1e9, (4.2e9, 8.9e9)) == "6.1B (4.2B .. 8.9B)"
    for limits in (None, (None, 8.9e9), (4.2e9, None)):
        assert between(6.1e9, limits) == "6.1B"


def cell(size: str, steps: int) -> dict[str, Any]:
    """Parameters of a branch that cools down over the last fifth of its steps."""
    names = {"dataset": "one", "size": size, "ratio": steps, "recipe": "wsd", "seed": 0}
    recipe = {"schedule": "wsd", "cooldown": 0.2, "lr": 1e-3, "batch_sequences": 4}
    model = {"context": 32}
    given = {"cell": names, "model": model, "recipe": recipe, "numerics": 1}
    return given | {"steps": steps, "tokens": steps * 128}


def test_tokens_of_a_run_of_another_length() -> None:
    found = with_steps(cell("a", 100), 7)
    assert (found["steps"], found["tokens"]) == (7, 7 * 4 * 32)


def test_pieces_that_other_cells_do_not_need() -> None:
    """Branches of 100, 50 and 200 steps leave after 80, 40 and 160; trunks come by name."""
    cells = [cell("b", 50), cell("a", 100), cell("a", 50), cell("a", 200)]
    every = [(leg.trunk.size, leg.begin, leg.end) for leg in legs(cells)]
    assert every == [("a", 0, 40), ("a", 40, 80), ("a", 80, 160), ("b", 0, 40)]
    beyond = legs_beyond(cells, [cell("a", 100)])
    assert [(leg.trunk.size, leg.end) for leg in beyond] == [("a", 160), ("b", 40)]
    assert legs_beyond(cells, []) == legs(cells)
    assert legs_beyond(cells, cells) == []


def test_a_file_is_the_one_its_manifest_describes(tmp_path: Path) -> None:
    manifest, file = tmp_path / "manifest.json", tmp_path / "a.bin"
    file.write_bytes(b"abc")
    # SHA-256 of "abc" (FIPS 180-2, appendix B.1).
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    described = {"name": "a.bin", "bytes": 3, "sha256": digest}
    assert entry(file) == described
    manifest.write_text("{}")
    assert verified(manifest, described) == file
    other = described | {"sha256": digest[::-1]}
    # Only its size is looked at where that is all that is asked, or where it was found good before.
    assert verified(manifest, other, "size") == verified(manifest, other) == file
    file.write_bytes(b"123")
    os.utime(file, ns=(0, 0))
    with pytest.raises(ScalebedError, match=r"has SHA-256 a665a4592042…, expected ba7816bf8f01…"):
        verified(manifest, described)
    file.write_bytes(b"1234")
    with pytest.raises(ScalebedError, match="has 4 bytes, expected 3"):
        verified(manifest, described, "size")
    file.unlink()
    with pytest.raises(ScalebedError, match="is missing, expected 3 bytes"):
        verified(manifest, described)


def test_the_digest_of_code_is_that_of_names_and_contents() -> None:
    whole = hashlib.sha256()
    for file in closure("scalebed.core.quantities"):
        whole.update(str(file.relative_to(PACKAGE)).encode())
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    assert code_digest("scalebed.core.quantities") == whole.hexdigest()[:16]


def test_a_recipe_that_says_nothing_stays_what_it_is() -> None:
    """Another default would change the numbers of every study that leaves a key out."""
    recipe = Training()
    assert (recipe.lr, recipe.lr_end, recipe.schedule) == (3e-3, 3e-5, "cosine")
    assert (recipe.beta1, recipe.beta2, recipe.eps) == (0.9, 0.95, 1e-8)
    assert (recipe.weight_decay, recipe.grad_clip, recipe.z_loss) == (1e-4, 1.0, 1e-4)
    # The length and the form of Hägele et al., arXiv 2405.18392.
    assert (recipe.cooldown, recipe.shape, recipe.warmup_steps) == (0.2, "1-sqrt", None)


def test_a_state_is_a_step_below_the_folders_of_a_trunk(tmp_path: Path) -> None:
    trunk = "dataset=one/size=a/seed=0/trunk=cc"
    states = [f"{trunk}/step=10", f"{trunk}/step=9"]
    others = [f"{trunk}/step=x", f"{trunk}/step=9 of 10", f"{trunk}/7", "dataset=one/step=8"]
    others += ["size=a/dataset=one/seed=0/trunk=cc/step=10"]
    for name in (*states, *others):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "state.json").touch()
    assert list(state_folders(tmp_path)) == [tmp_path / name for name in states]
