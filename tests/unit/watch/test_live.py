"""Curves of runs that are going on: columns, exports, events, and what is wrong with them."""

import numpy as np
import pandas as pd
import pytest

from scalebed.core.errors import ScalebedError
from scalebed.watch import alarms
from scalebed.watch.live import LiveCurve, parse_columns, read_live


def write(folder, text):
    path = folder / "curve.csv"
    path.write_text(text)
    return path


def curve(loss, held_at=(), held_out=()):
    steps = np.arange(1.0, len(loss) + 1)
    blank = np.full(len(loss), np.nan)
    columns = (steps, steps, np.asarray(loss, float), blank)
    return LiveCurve("x", *columns, np.asarray(held_at, float), np.asarray(held_out, float))


@pytest.mark.parametrize(
    "header",
    ["step,tokens,loss", "_step,throughput/total_tokens,train/loss", "Step,tokens_seen,Train Loss"],
)
def test_columns_are_found_by_their_common_names(tmp_path, header):
    found = read_live(write(tmp_path, f"{header}\n1,512,6.2\n2,1024,5.9\n"))
    assert found.tokens.tolist() == [512, 1024]
    assert found.loss.tolist() == [6.2, 5.9]


def test_charts_of_wandb_are_read_without_their_ranges(tmp_path):
    head = '"Step","big - train/loss","big - train/loss__MIN","big - train/loss__MAX"'
    found = read_live(write(tmp_path, f"{head}\n10,3.5,3.4,3.6\n20,3.3,3.2,3.4\n"))
    assert found.loss.tolist() == [3.5, 3.3]
    tokens = found.progress(1000.0, 40, None).tokens
    assert tokens.tolist() == [250.0, 500.0]


def test_a_history_of_wandb_has_rows_without_a_loss(tmp_path):
    text = "_step,tokens,train/loss,eval/loss\n1,10,5,\n2,20,,5.1\n3,,4.5,\n4,40,4.4,\n"
    found = read_live(write(tmp_path, text))
    assert found.loss.tolist() == [5, 4.5, 4.4]
    assert found.tokens.tolist() == [10, 30, 40]
    assert (found.held_at.tolist(), found.held_out.tolist()) == ([20], [5.1])


def test_a_loss_that_is_not_a_number_is_kept_and_told(tmp_path):
    found = read_live(write(tmp_path, "tokens,loss\n10,5\n20,NaN\n"))
    assert np.isnan(found.loss[1])
    assert alarms.divergence(found, 40) == "diverged: the loss of row 2 is nan"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tokens,loss\n10,5\n30,4\n20,3\n", "row 3: tokens falls from 30 to 20"),
        ("step,loss\n10,5\n9,4\n", "row 2: step falls from 10 to 9"),
        ("tokens,x\n1,2\n", "has no column loss"),
        ("loss,x\n1,2\n", "has no column step or tokens"),
        ("tokens,loss\n1,much\n", "row 1: loss is 'much', expected a number"),
        ("tokens,loss,train_loss\n1,2,3\n", None),
        ("tokens,train/loss,train_loss\n1,2,3\n", "could each be loss"),
        ("tokens,loss\n", "has no rows"),
        ("tokens,loss\n1,\n", "has no loss yet"),
        ("tokens,loss\n1,2\ninf,2\n", "row 2: tokens is inf"),
        ("step,loss\n-inf,2\n", "row 1: step is -inf"),
    ],
)
def test_what_is_wrong_with_a_curve_is_one_sentence(tmp_path, text, said):
    path = write(tmp_path, text)
    if said is None:
        assert read_live(path).loss.tolist() == [2]
        return
    with pytest.raises(ScalebedError) as caught:
        read_live(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_column_can_be_named(tmp_path):
    path = write(tmp_path, "tokens,train/loss,train_loss\n1,2,3\n")
    assert read_live(path, parse_columns(["loss=train_loss"])).loss.tolist() == [3]
    with pytest.raises(ScalebedError, match="expected KEY=NAME"):
        parse_columns(["weight=x"])
    with pytest.raises(ScalebedError, match="has no column x"):
        read_live(path, {"loss": "x"})


def test_steps_alone_need_the_length_of_the_run(tmp_path):
    found = read_live(write(tmp_path, "step,loss\n10,5\n20,4\n"))
    with pytest.raises(ScalebedError, match="expected --steps"):
        found.progress(1e6, None, None)
    assert found.progress(1e6, None, 512.0).tokens.tolist() == [5120, 10240]


def test_steps_that_are_left_out_lie_between_the_others(tmp_path):
    found = read_live(write(tmp_path, "step,loss\n10,5\n,4.5\n20,4\n"))
    assert found.progress(1e6, None, 512.0).tokens.tolist() == [5120, 7680, 10240]


def test_a_curve_longer_than_the_run_is_of_another_run(tmp_path):
    found = read_live(write(tmp_path, "tokens,loss\n10,5\n7e38,4\n"))
    with pytest.raises(ScalebedError, match=r"7e\+38 tokens in its last row, but the whole run 1e"):
        found.progress(1e6, None, None)


def test_the_curves_of_our_own_cells_are_read(tmp_path):
    path = tmp_path / "curve.parquet"
    columns = {"step": [0, 1], "tokens": [512, 1024], "loss": [6.0, 5.5], "lr": [0.1, 0.2]}
    pd.DataFrame(columns | {"z_loss": [0.0, 0.0], "grad_norm": [1.0, 1.0]}).to_parquet(path)
    found = read_live(path)
    assert found.loss.tolist() == [6, 5.5]
    assert found.lr.tolist() == [0.1, 0.2]


def test_events_of_tensorboard_are_read(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path / "events")) as writer:
        for step in range(5):
            writer.add_scalar("train/loss", 6 - step, step)
            writer.add_scalar("val/loss", 6.5 - step, step)
    found = read_live(tmp_path / "events")
    assert found.step.tolist() == [0, 1, 2, 3, 4]
    assert found.loss.tolist() == [6, 5, 4, 3, 2]
    assert found.held_out.tolist() == [6.5, 5.5, 4.5, 3.5, 2.5]


def test_a_loss_that_rises_again_is_divergence_and_noise_is_not():
    rng = np.random.default_rng(0)
    healthy = 3 + np.exp(-np.arange(600) / 100) + 0.1 * rng.standard_normal(600)
    assert alarms.divergence(curve(healthy), 1000) is None
    healthy[540:] += np.linspace(0, 0.8, 60)
    assert "diverging: the loss has risen" in alarms.divergence(curve(healthy), 1000)


def test_passes_over_the_data_are_counted():
    found = curve([3.0] * 100)
    assert alarms.repetition(found, None) is None
    assert alarms.repetition(found, 100) is None
    assert "2.5 passes over 40 tokens" in alarms.repetition(found, 40)


def test_held_out_loss_that_leaves_training_loss_speaks_of_repeated_data():
    loss = np.linspace(4, 3, 400)
    at = np.array([100, 200, 300, 400])
    fresh = np.interp(at, np.arange(1, 401), loss) + 0.01
    assert alarms.gap(curve(loss, at, fresh), 800) is None
    assert "leaves training loss" in alarms.gap(curve(loss, at, fresh + 0.001 * (at - 100)), 800)
    rising = np.array([3.0, 2.9, 2.95, 3.0])
    assert "held-out loss rises" in alarms.gap(curve(loss, at, rising), 800)
