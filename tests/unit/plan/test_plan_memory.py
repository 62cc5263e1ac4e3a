import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scalebed.commands.cli import main
from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError
from scalebed.model import Decoder, ModelConfig, initialise
from scalebed.plan.estimates import Timed, gpu_step, makespan
from scalebed.study.hardware import LAPTOP, Gpu, Hardware, load_hardware
from scalebed.train import memory
from scalebed.train.distributed.blocks import prepare_blocks

ROOT = Path(__file__).parents[3]
STUDY = ROOT / "config" / "studies" / "gadre2024.yaml"
A100 = ROOT / "config" / "hardware" / "a100-80gb.yaml"
BIG = arithmetic.SIZE_TABLES["gadre2024"]["6900m"]
SHAPE = arithmetic.Shape(**BIG)
RECIPE = {"batch_sequences": 2048, "micro_sequences": 8, "precision": "bf16"}


def kept_bytes(layers: int, precision: str, recompute: bool) -> int:
    """Bytes that autograd keeps of the hidden pass, weights and their casts left out."""
    config = ModelConfig(width=256, layers=layers, heads=4, vocab=512, context=128, ffn_multiple=64)
    model = Decoder(config)
    initialise(model, 0)
    prepare_blocks(model, compiled=False, recompute=recompute)
    positions = 7 * config.context
    kept, storages = [], {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept.append(tensor)  # so that no other tensor takes its address
        # Activations have rows for 7 sequences; no side of a weight is a multiple of 7.
        if storage.nbytes() % positions == 0:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    tokens = torch.randint(0, 512, (7, config.context), generator=torch.Generator().manual_seed(0))
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
    ):
        model.hidden(tokens)
    return sum(storages.values())


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_planned_activations_are_those_that_autograd_keeps(precision, recompute):
    shape = arithmetic.Shape(256, 2, 4, 512, 128, 64)

    def planned(layers: int) -> float:
        parts = memory.terms(replace(shape, layers=layers), 7, 1, False, recompute, precision)
        # Plans are for GPUs. On a CPU attention reads q, k and v in fp32 even in bf16 training.
        kept_layers = layers * (precision == "bf16" and not recompute)
        return parts["activations"] + kept_layers * 7 * shape.context * 3 * 2 * shape.width

    measured = [kept_bytes(layers, precision, recompute) for layers in (2, 5)]
    ratio = (planned(5) - planned(2)) / (measured[1] - measured[0])
    assert 0.98 < ratio < 1.05


def test_sixteen_bytes_a_parameter_are_replicated_or_shared_out():
    params = arithmetic.count_params(SHAPE).total
    held = ("weights", "gradient", "moments")
    for ranks, sharded, share in ((1, False, 1), (8, False, 1), (8, True, 8)):
        parts = memory.terms(SHAPE, 8, ranks, sharded, False, "bf16")
        assert sum(parts[name] for name in held) == pytest.approx(16 * params / share)
    assert memory.terms(SHAPE, 8, 1, False, False, "fp32")["buckets"] == 0
    assert memory.terms(SHAPE, 8, 2, False, False, "fp32")["buckets"] == 4 * params
    # A pass gathers embedding and head whole, so shares stop helping where these dominate.
    gathered = memory.terms(SHAPE, 8, 8, True, False, "bf16")["gathered"]
    assert 2 * 4 * 50432 * 4096 < gathered < 8 * params


def test_the_memory_of_a_rank_falls_with_ranks_and_with_recomputing():
    def need(ranks: int, recompute: bool) -> float:
        return memory.rank_bytes(SHAPE, 8, ranks, True, recompute, "bf16")

    assert need(8, False) < need(4, False) < need(2, False)
    for ranks in (2, 4, 8):
        assert need(ranks, True) < need(ranks, False)


def site(memory_gb: float, **more: int) -> Hardware:
    return Hardware(gpu=Gpu(name="G", memory_gb=memory_gb, flops=1e14, **more))


def test_a_layout_takes_the_fewest_ranks_that_fit():
    ranks = {}
    for gigabytes in (1000, 200, 80, 60):
        found, *_ = memory.layouts(BIG, RECIPE, site(gigabytes))
        assert found.bytes_per_rank <= memory.SHARE * gigabytes * 1e9
        assert RECIPE["batch_sequences"] % found.ranks == 0
        ranks[gigabytes] = found.ranks
        if found.ranks > 1:
            fewer = memory.choose_layout(SHAPE, 2048, 8, "bf16", found.ranks // 2, gigabytes * 1e9)
            assert fewer.bytes_per_rank > memory.SHARE * gigabytes * 1e9
    assert ranks[1000] == 1
    assert sorted(ranks.values()) == list(ranks.values())
    assert memory.layouts(BIG, RECIPE, LAPTOP)[0][:3] == (1, False, False)


def test_what_fits_no_number_of_gpus_is_refused_in_one_sentence():
    with pytest.raises(ScalebedError, match=r"need \d+ GB on each of 8 devices, but G has 16 GB"):
        memory.layouts(BIG, RECIPE, site(16))
    with pytest.raises(ScalebedError, match="on each of 2 devices"):
        memory.layouts(BIG, RECIPE, site(60, most=2))
    with pytest.raises(ScalebedError, match="on each of 1 devices"):
        memory.layouts(BIG, RECIPE | {"batch_sequences": 5}, site(16))


def test_what_was_asked_for_is_taken_and_the_rest_is_left_to_the_memory():
    known = SHAPE, 2048, 8, "bf16", 8, 80e9
    assert memory.choose_layout(*known)[:3] == (8, True, True)
    assert memory.choose_layout(*known, recompute=False)[1:3] == (True, False)
    assert memory.choose_layout(*known, shard=False).sharded is False
    with pytest.raises(ScalebedError, match="--shard needs more than one rank"):
        memory.choose_layout(SHAPE, 2048, 8, "bf16", 1, 80e9, shard=True)


def test_a_step_on_gpus_takes_its_flops_over_their_rate():
    model = BIG | {"qk_norm": True, "rope_base": 10000}
    spread = memory.Layout(4, True, False, 0.0)
    gpu = Gpu(name="G", memory_gb=80, flops=1e15, utilization=0.5)
    work = arithmetic.flops_exact(SHAPE, 2048 * 2048)
    step = gpu_step(model, RECIPE, spread, gpu)
    assert step.seconds == pytest.approx(work / (4 * 1e15 * 0.5))
    again = gpu_step(model, RECIPE, spread._replace(recompute=True), gpu)
    assert again.seconds == pytest.approx(step.seconds * 4 / 3)


def test_wide_jobs_wait_for_as_many_devices():
    wide, short = Timed(10.0, 2), Timed(4.0)
    assert makespan([wide, wide], 2) == 20.0
    assert makespan([wide, short, short], 3) == 10.0
    assert makespan([wide, short, short], 2) == 14.0


def test_the_largest_model_of_the_paper_has_a_plan_on_a_node_of_a100(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fixed = ["plan", "--study", str(STUDY), "--no-calibration", "--hardware"]
    assert main([*fixed, str(A100), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    largest = next(cell for cell in plan["cells"] if cell["size"] == "6900m")
    assert largest["sharded"]
    assert 1 < largest["ranks"] <= 8
    assert 16 * 6.9e9 / 8 < largest["bytes_per_rank"] < 72e9
    assert plan["totals"]["core_seconds"] is None
    # 3.47e22 FLOPs at 40 % of 312e12, and somewhat more for attention and recomputing
    assert 1.0 < plan["totals"]["gpu_seconds"] / (3.47e22 / 0.4 / 312e12) < 1.5
    assert main([*fixed, str(A100)]) == 0
    text = capsys.readouterr().out
    assert "GB each" in text
    assert "GPU-hours" in text
    small = tmp_path / "small.yaml"
    small.write_text(A100.read_text().replace("memory_gb: 80", "memory_gb: 16"))
    assert main([*fixed, str(small), "--summary"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "6900m/ratio=20/recipe=base/seed=124 does not fit: width 4096, 32 layers need" in err


def test_shipped_hardware_files_describe_a_node():
    files = sorted((ROOT / "config" / "hardware").glob("*.yaml"))
    assert len(files) >= 2
    for file in files:
        gpu = load_hardware(file).gpu
        assert gpu is not None
        assert gpu.memory_gb == 80
        assert 1e14 < gpu.flops < 2e15
