"""Trunks and branches: the same numbers as from the first step, whatever happens on the way."""

import contextlib
import json
import shutil
import time
from pathlib import Path

import pytest
from forked_training import fork_training
from training_cells import make_dataset, make_params, start_training

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.core.trunks import leaves_at, legs, state_path, trunk_of, trunk_spec
from scalebed.train.cell import train_cell
from scalebed.train.job import Options
from scalebed.train.params import Recipe
from scalebed.train.rates import learning_rate
from scalebed.train.trunk import train_trunk

WSD = {"schedule": "wsd", "cooldown": 0.2, "shape": "1-sqrt"}


def branch(steps: int, recipe: dict | None = None, **changes):
    """Return parameters of a cell of `steps` steps that branches off a trunk."""
    params = make_params(steps=steps, **changes)
    params["cell"]["ratio"] = steps
    params["recipe"] |= {**WSD, "warmup_steps": 5, **(recipe or {})}
    return params


class Study:
    """A folder in which trunks and cells are trained as the workflow does it."""

    def __init__(self, root: Path, **dataset) -> None:
        self.root = root
        self.dataset = make_dataset(root, **dataset)
        self.options = Options(state=root / "state", device="cpu")

    def state(self, params, step=None) -> Path:
        trunk = trunk_of(params)
        return self.root / "trunks" / state_path(trunk, step or leaves_at(params))

    def trunk(self, *cells):
        """Train all pieces of the trunks of cells; return their statuses."""
        found = []
        for leg in legs(cells):
            before = [self.root / "trunks" / state_path(leg.trunk, leg.begin)] if leg.begin else []
            out = self.root / "trunks" / leg.path
            found.append(train_trunk(leg.spec, self.dataset, out, self.options, *before))
        return found

    def cell(self, params, name: str, trunk: bool = True):
        """Train a cell, as a branch or from the first step; return its record."""
        out = self.root / name / "metrics.json"
        begin = [self.state(params)] if trunk else []
        options = Options(state=self.root / "state" / name, device="cpu")
        train_cell(params, self.dataset, out, options, *begin)
        return read_json(out)

    def same(self, one: str, other: str) -> bool:
        files = [(self.root / name / "curve.parquet").read_bytes() for name in (one, other)]
        sums = [
            read_json(self.root / name / "metrics.json")["weights_sha256"] for name in (one, other)
        ]
        return files[0] == files[1] and sums[0] == sums[1] is not None


def test_the_rate_is_constant_and_falls_as_published():
    recipe = Recipe.from_record(branch(100, {"lr": 1.0, "lr_end": 0.0})["recipe"])
    rates = [learning_rate(recipe, 100, step) for step in range(100)]
    assert rates[:5] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert set(rates[4:81]) == {1.0}  # warm up in 5 steps, leave the trunk after 80
    assert rates[85] == 0.5  # a quarter of twenty steps: 1 - sqrt(1/4)
    assert rates[99] == pytest.approx(1 - 0.95**0.5)


@pytest.mark.parametrize(
    ("shape", "half"),
    [("linear", 0.5), ("cosine", 0.5), ("square", 0.75), ("1-sqrt", 1 - 0.5**0.5)],
)
def test_shapes_of_the_cool_down(shape, half):
    recipe = Recipe.from_record(branch(100, {"lr": 2.0, "lr_end": 1.0, "shape": shape})["recipe"])
    assert learning_rate(recipe, 100, 90) == pytest.approx(1 + half)


def test_a_branch_equals_a_run_from_the_first_step_bit_for_bit(tmp_path):
    study = Study(tmp_path, tokens=10_000)
    cells = [branch(steps) for steps in (20, 45, 130)]
    assert study.trunk(*cells) == ["done"] * 3
    for params in cells:
        name = f"{params['steps']}"
        record = study.cell(params, name)
        scratch = study.cell(params, f"{name}-scratch", trunk=False)
        assert study.same(name, f"{name}-scratch")
        assert record["trunk"] == scratch["trunk"] == trunk_of(params).path
        assert (record["trunk_steps"], scratch["trunk_steps"]) == (leaves_at(params), 0)
        assert record["seconds"] < scratch["seconds"]


def test_what_only_the_cool_down_needs_leaves_the_trunk_as_it_is(tmp_path):
    one = branch(40)
    others = [branch(40, {"shape": "linear"}), branch(40, {"lr_end": 0.0}), branch(80)]
    assert {trunk_of(params) for params in others} == {trunk_of(one)}
    assert leaves_at(branch(40, {"cooldown": 0.5})) == 20
    for changes in ({"lr": 2e-2}, {"warmup_steps": 6}, {"batch_sequences": 2}):
        assert trunk_of(branch(40, changes)) != trunk_of(one)
    assert trunk_of(branch(40, seed=1)) != trunk_of(one)
    assert trunk_of(make_params(steps=40)) is None
    assert trunk_spec(one, 32)["tokens"] == 32 * 4 * 16


def test_a_longer_trunk_and_another_cool_down_go_on_from_the_states_there_are(tmp_path, caplog):
    caplog.set_level("INFO")
    study = Study(tmp_path)
    study.trunk(branch(50))
    assert "resuming" not in caplog.text
    study.trunk(branch(50), branch(100))
    assert "resuming after step 40" in caplog.text
    caplog.clear()
    study.trunk(branch(50, {"cooldown": 0.1}))
    assert "resuming after step 40" in caplog.text  # leaves at 45
    record = study.cell(branch(50, {"cooldown": 0.1}), "new")
    study.cell(branch(50, {"cooldown": 0.1}), "scratch", trunk=False)
    assert study.same("new", "scratch")
    assert record["trunk_steps"] == 45


def test_a_lost_state_is_made_again_from_the_one_before(tmp_path, caplog):
    caplog.set_level("INFO")
    study = Study(tmp_path)
    cells = [branch(steps) for steps in (25, 50)]
    study.trunk(*cells)
    file = next(study.state(cells[1]).parent.glob("*.safetensors"))
    before = file.read_bytes()
    file.unlink()
    with pytest.raises(ScalebedError, match=r"no whole state of the trunk .* run again"):
        study.cell(cells[1], "cell")
    assert not study.state(cells[1]).exists()
    caplog.clear()
    study.trunk(*cells)
    assert "resuming after step 20" in caplog.text
    assert file.read_bytes()[-1000:] == before[-1000:]
    study.cell(cells[1], "cell")
    study.cell(cells[1], "scratch", trunk=False)
    assert study.same("cell", "scratch")


def test_a_state_of_other_data_is_not_taken(tmp_path):
    study, params = Study(tmp_path), branch(40)
    study.trunk(params)
    manifest = json.loads(study.dataset.read_text())
    study.dataset.write_text(json.dumps(manifest | {"note": "another text"}))
    with pytest.raises(ScalebedError, match="on these data"):
        study.cell(params, "cell")
    study.trunk(params)
    study.cell(params, "cell")
    study.cell(params, "scratch", trunk=False)
    assert study.same("cell", "scratch")


def test_a_record_of_another_step_is_refused(tmp_path):
    study, params = Study(tmp_path), branch(40)
    study.trunk(params)
    with pytest.raises(ScalebedError, match=r"step=32/state.json, expected that of step 16"):
        out = tmp_path / "c/metrics.json"
        train_cell(branch(20), study.dataset, out, study.options, study.state(params))


def test_a_trunk_that_diverges_ends_the_branches_after_it_as_they_would_alone(tmp_path):
    study = Study(tmp_path, tokens=200_000)
    wild = {"lr": 300.0, "lr_end": 300.0}
    cells = [branch(steps, wild, qk_norm=False) for steps in (60, 600, 900)]
    assert study.trunk(*cells) == ["done", "diverged", "diverged"]
    for params in cells:
        record = study.cell(params, f"{params['steps']}")
        scratch = study.cell(params, f"{params['steps']}-scratch", trunk=False)
        assert record["status"] == scratch["status"]
        assert record["reason"] == scratch["reason"]
        assert (record["weights_sha256"] is None) == (record["status"] == "diverged")
        curves = [
            (tmp_path / name / "curve.parquet").read_bytes()
            for name in (f"{params['steps']}", f"{params['steps']}-scratch")
        ]
        assert curves[0] == curves[1]


def test_a_trunk_without_enough_text_fails_and_says_so_in_its_branches(tmp_path):
    study = Study(tmp_path, tokens=1000)
    params = branch(40)
    assert study.trunk(params) == ["failed"]
    record = study.cell(params, "cell")
    assert record["status"] == "failed"
    assert "needs 2,560 tokens" in record["reason"]


def test_killed_at_any_moment_trunk_and_branch_end_with_the_same_weights(tmp_path):
    study, params = Study(tmp_path), branch(60)
    study.cell(params, "scratch", trunk=False)
    (leg,) = legs([params])
    cell_params = dict(params)
    steps = [
        ("train-trunk", leg.spec, f"trunks/{leg.path}", []),
        ("train-cell", cell_params, "cell/metrics.json", ["--trunk", f"trunks/{leg.path}"]),
    ]
    kills = 0
    for verb, spec, out, more in steps:
        for wanted in (1, 2, 3, 100):
            process = fork_training(tmp_path, spec, study.dataset, out, *more, verb=verb)
            seen: set[str] = set()
            while process.poll() is None and len(seen) < wanted:
                time.sleep(0.002)
                # A folder may go while it is listed.
                with contextlib.suppress(FileNotFoundError):
                    seen |= {path.name for path in (tmp_path / "state").rglob("step-*.safetensors")}
            if process.poll() is None:
                process.kill()
                kills += 1
            process.communicate()
            if (tmp_path / out).exists():
                break
        while not (tmp_path / out).exists():
            process = fork_training(tmp_path, spec, study.dataset, out, *more, verb=verb)
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
    assert kills
    assert study.same("cell", "scratch")


def test_two_ranks_train_trunk_and_branch(tmp_path):
    study, params = Study(tmp_path), branch(30)
    (leg,) = legs([params])
    more = ["--ranks", "2", "--device", "cpu"]
    for verb, spec, out, trunk in (
        ("train-trunk", leg.spec, f"trunks/{leg.path}", []),
        ("train-cell", params, "cell/metrics.json", ["--trunk", f"trunks/{leg.path}"]),
    ):
        process = start_training(tmp_path, spec, study.dataset, out, *trunk, *more, verb=verb)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    record = read_json(tmp_path / "cell/metrics.json")
    assert (record["status"], record["ranks"], record["trunk_steps"]) == ("done", 2, 24)
    alone = study.cell(params, "alone", trunk=False)
    assert record["train_loss"] == pytest.approx(alone["train_loss"], abs=1e-4)


def test_what_was_left_when_a_trunk_ended_goes_unless_it_leads_further(tmp_path):
    study, params = Study(tmp_path), branch(25)
    study.trunk(params)
    record = study.state(params)
    kin = read_json(record)["lineage"]
    left = tmp_path / "state/trunks" / trunk_of(params).path / kin
    for step in (20, 40):
        left.mkdir(parents=True)
        for suffix in (".safetensors", ".sha256"):
            kept = record.with_name(f"step-{20:09d}{suffix}")
            shutil.copy(kept, left / f"step-{step:09d}{suffix}")
        record.unlink()
        assert study.trunk(params) == ["done"]
        assert record.exists()
        assert left.exists() == (step == 40)
