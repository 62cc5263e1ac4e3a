"""The Multi-Power Law: its formula, schedules from rows, and its fit."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.watch.multi_power import Constants, Reference, Schedule, fit, loss_at, schedule_of
from scalebed.watch.schedules import read_constants, read_plan

LAW = Constants(3.04, 0.525, 0.508, 364.0, 2.07, 0.583, 0.641)
WARMUP, STEPS, PEAK = 100, 2000, 3e-4


def cosine(steps=STEPS, warmup=WARMUP):
    at = np.arange(steps + 1)
    down = 0.1 + 0.45 * (1 + np.cos(np.pi * (at - warmup) / (steps - warmup)))
    return Schedule(PEAK * np.where(at < warmup, at / warmup, down))


def two_stages(steps=STEPS):
    at = np.arange(steps + 1)
    rise = np.minimum(at / WARMUP, 1.0)
    return Schedule(PEAK * np.where(at < steps // 2, rise, 0.3))


def by_hand(law, rates, step):
    """The formula as it is printed, term by term."""
    value = law.L0 + law.A * sum(rates[: step + 1]) ** -law.alpha
    for k in range(1, step + 1):
        since = sum(rates[k : step + 1])
        shape = 1 - (law.C * rates[k] ** -law.gamma * since + 1) ** -law.beta
        value -= law.B * (rates[k - 1] - rates[k]) * shape
    return value


@pytest.mark.parametrize("schedule", [cosine(300, 30), two_stages(300)])
def test_the_loss_is_that_of_the_printed_formula(schedule):
    steps = np.array([40, 149, 160, 300])
    wanted = [by_hand(LAW, schedule.rates, step) for step in steps]
    np.testing.assert_allclose(loss_at(LAW, schedule, steps), wanted, rtol=1e-10)


def test_blocks_of_steps_change_little_and_keep_jumps_in_place():
    steps = np.arange(200, STEPS + 1, 60)
    for schedule in (cosine(), two_stages()):
        exact, blocks = loss_at(LAW, schedule, steps), loss_at(LAW, schedule, steps, 16)
        assert np.abs(exact - blocks).max() < 1e-2 * np.ptp(exact)


def test_a_schedule_is_found_from_some_of_its_rows():
    for schedule in (cosine(), two_stages()):
        rows = np.arange(WARMUP, STEPS + 1, 20)
        found = schedule_of(rows.astype(float), schedule.rates[rows], STEPS, WARMUP)
        assert np.abs(found.rates - schedule.rates)[WARMUP:].max() < 0.01 * PEAK
        assert found.sums[-1] == pytest.approx(schedule.sums[-1], rel=1e-3)


def reference(schedule, name="x"):
    steps = np.arange(WARMUP, STEPS + 1, 20)
    return Reference(name, schedule, steps, loss_at(LAW, schedule, steps))


def test_a_fit_predicts_a_schedule_it_has_not_seen():
    law = fit([reference(cosine()), reference(two_stages())])
    at = np.arange(STEPS + 1)
    rates = PEAK * np.minimum(at / WARMUP, 1.0)
    late = at > 0.8 * STEPS
    rates[late] *= 1 - 0.9 * (at[late] - 0.8 * STEPS) / (0.2 * STEPS)
    unseen = reference(Schedule(rates))
    predicted = loss_at(law, unseen.schedule, unseen.steps)
    np.testing.assert_allclose(predicted, unseen.loss, rtol=5e-3)


def test_constants_that_no_float_holds_on_the_way_of_a_fit_are_no_warning(monkeypatch):
    def tried(off, start, **options):
        for theta in (start, start + 40, start - 40):
            assert np.isfinite(off(theta)).all()
        return SimpleNamespace(x=start, cost=1.0)

    monkeypatch.setattr("scalebed.watch.multi_power.least_squares", tried)
    assert fit([reference(cosine())]).alpha == pytest.approx(0.5)


def test_curves_of_a_constant_rate_alone_cannot_be_fitted():
    flat = Schedule(PEAK * np.minimum(np.arange(STEPS + 1) / WARMUP, 1.0))
    with pytest.raises(ScalebedError, match="never changes"):
        fit([reference(flat, "flat")])


def test_the_verb_watches_a_run_of_another_schedule(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    schedule, steps = cosine(), np.arange(WARMUP, STEPS // 2, 10)
    noise = 1 + 0.002 * np.random.default_rng(0).standard_normal(steps.size)
    loss = loss_at(LAW, schedule, steps) * noise
    pd.DataFrame({"step": steps, "loss": loss}).to_csv("live.csv", index=False)
    plan = pd.DataFrame({"step": np.arange(STEPS + 1), "lr": schedule.rates})
    plan.to_csv("plan.csv", index=False)
    law = ",".join(f"{name}={value}" for name, value in LAW._asdict().items())
    words = ["watch", "live.csv", "--target", "params=25M,tokens=1B", "--steps", str(STEPS)]
    assert main([*words, "--multi-power", law, "--schedule", "plan.csv"]) == 0
    out = capsys.readouterr().out
    end = loss_at(LAW, schedule, np.array([STEPS]))[0]
    said = float(out.partition("forecast of the end ")[2].split()[0])
    assert said == pytest.approx(end, rel=3e-3)
    assert "on its curve" in out


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1,1e-3\n,1e-3\n", "expected steps that rise"),
        ("1,1e-3\n1e15,1e-3\n", "steps are 1 to 1e\\+15, expected 0 to 100,000,000"),
    ],
)
def test_a_plan_without_usable_steps_is_refused(tmp_path, rows, said):
    plan = tmp_path / "plan.csv"
    plan.write_text("step,lr\n" + rows)
    with pytest.raises(ScalebedError, match=said):
        read_plan(plan, None)


def test_a_constant_that_no_float_holds_is_refused(tmp_path):
    law = tmp_path / "law.json"
    text = json.dumps(LAW._asdict())
    law.write_text(text.replace("364.0", "9" * 400))
    with pytest.raises(ScalebedError, match="cannot read a number"):
        read_constants(str(law))
