"""What runs on GPUs, run to its end on fake ones; see `fake_gpu`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import fake_gpu
import numpy as np
import pytest
import torch
import torch.distributed as dist
from fake_gpu import Watch, gpus, runs_on_gpus
from training_cells import make_dataset, make_params

from scalebed.core import arithmetic
from scalebed.core.files import read_json
from scalebed.data.sequences import SequenceSource
from scalebed.evaluate.scoring import Request, score_requests
from scalebed.model import Decoder, ModelConfig, initialise, loss
from scalebed.model.generate import generate
from scalebed.train import checkpoint, loop, memory, torch_backend
from scalebed.train.cell import checked_job
from scalebed.train.checkpoint import StateFolder, open_state
from scalebed.train.distributed.ranks import Ranks
from scalebed.train.job import Job, Options, Outcome
from scalebed.train.loop import Training
from scalebed.train.params import KEY, check_params

pytestmark = pytest.mark.skipif(
    fake_gpu.COMPILER is None, reason="needs a C++ compiler for what torch asks of a driver"
)

MATRICES = 19
"""Parameters of the tiny model."""

SETTING_UP = {
    "train/torch_backend.py:_at_first_step",
    "train/distributed/sharded.py:sharded_decoder",
}
SETTING_UP |= {"model/rope.py:rope_tables", "train/checkpoint.py:Saved.fill"}
"""Where tensors may be sent while the process waits: before the first step."""

ALONE = {
    # The loss that a person is shown, the curve that is judged, and the curve that is written.
    "train/loop.py:run_training": 3,
    "train/loop.py:Training.weights.<locals>.<dictcomp>": MATRICES,
}
"""How often a run of fewer steps than are shown at a time stops the GPU, and where."""

SHARDED = {
    "train/loop.py:run_training": 3,
    "train/distributed/sharded.py:Sharded.weights": MATRICES,
}


class Way(NamedTuple):
    """How a cell is trained."""

    ranks: int = 1
    rank: int = 0
    precision: str = "fp32"
    shard: bool = False
    recompute: bool = False
    compiled: bool = False


WAYS = {
    "alone": Way(),
    "alone, bf16": Way(precision="bf16"),
    "alone, bf16, recomputing": Way(precision="bf16", recompute=True),
    "alone, compiled": Way(compiled=True),
    "8 replicated": Way(8),
    "64 replicated, bf16": Way(64, 9, "bf16"),
    "8 sharded": Way(8, shard=True),
    "64 sharded, bf16, recomputing": Way(64, 9, "bf16", shard=True, recompute=True),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Any:
    return fake_gpu.build(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data"), 10_000)


@pytest.fixture(autouse=True)
def usual_rules() -> Iterator[None]:
    """Undo what a training says about determinism."""
    yield
    torch.set_deterministic_debug_mode("default")


def make_job(root: Path, dataset: Path, way: Way, steps: int, **more: Any) -> Job:
    """Return a job of two parts a step on each rank."""
    part = more.pop("micro_sequences", 1)
    sizes = {"batch_sequences": 2 * part * way.ranks, "micro_sequences": part}
    params = make_params(steps, **sizes, precision=way.precision, **more)
    choice = {"shard": way.shard or None, "recompute": way.recompute, "compiled": way.compiled}
    options = Options(state=root, device="cuda", checkpoint_seconds=1e9, **choice)
    return checked_job(params, check_params(params), dataset, read_json(dataset), options)


def train(
    library: Any, root: Path, dataset: Path, way: Way, steps: int = 2
) -> tuple[Outcome, Watch]:
    watch = Watch()
    job = make_job(root, dataset, way, steps)
    with (
        open_state(root / "cell") as state,
        gpus(library, way.rank, way.ranks),
        mock.patch.object(torch, "compile", lambda f: compile_eagerly(f)),
        watch,
    ):
        outcome = torch_backend.train(job, state, 0.0)
    return outcome, watch


_compile = torch.compile


def compile_eagerly(function: Callable[..., Any]) -> Any:
    """Trace as the compiler does, forward and backward, but generate no code."""
    return _compile(function, backend="aot_eager")


def check_hot_loop(watch: Watch, steps: int, downloads: dict[str, int]) -> None:
    assert [str(found) for found in watch.operators if not runs_on_gpus(found)] == []
    assert set(watch.uploads) <= SETTING_UP
    assert watch.queued == {"train/loop.py:Training._batch": steps}
    assert watch.downloads == downloads


@pytest.mark.parametrize("name", WAYS)
def test_a_run_stays_on_its_gpu_and_does_not_wait_for_it(library, dataset, tmp_path, name):
    way = WAYS[name]
    outcome, watch = train(library, tmp_path, dataset, way)
    assert (outcome.status, outcome.device, outcome.ranks) == ("done", "cuda", way.ranks)
    assert outcome.curve.device.type == "cpu"
    downloads = SHARDED if way.shard else ALONE
    if way.rank:  # it has no weights to write
        downloads = {"train/loop.py:run_training": 3}
    check_hot_loop(watch, 2, downloads)
    check_messages(watch.messages, way, steps=2)


def check_messages(messages: Any, way: Way, steps: int) -> None:
    """Compare what a rank gave to others with what its way of training should give."""
    if way.ranks == 1:
        assert not messages
        return
    # Losses of each step: cross-entropy and z-loss in fp32.
    assert messages["allreduce_", "float32", 8] == steps
    model = make_params()["model"]
    bytes_held = 4 * sum(p.numel() for p in Decoder(ModelConfig.from_record(model)).parameters())
    if not way.shard:
        # The whole gradient, once a step although a step has two parts, in fp32 also with bf16.
        assert messages["allreduce_", "float32", bytes_held] == steps
        assert messages.total() == 2 * steps + messages_of_start(messages)
        return
    # The squared norm; and gradients of two blocks and the rest in both parts of each step.
    assert messages["allreduce_", "float32", 4] == steps
    scattered = {key: n for key, n in messages.items() if key[0] == "_reduce_scatter_base_"}
    assert {dtype for _, dtype, _ in scattered} == {"float32"}
    groups = 3 + 2 * (way.precision == "bf16")  # gains of a block apart
    assert sum(scattered.values()) == groups * 2 * steps
    gathered = {dtype for kind, dtype, _ in messages if kind == "_allgather_base_"}
    assert ("bfloat16" in gathered) == (way.precision == "bf16")


def messages_of_start(messages: Any) -> int:
    """Return how many messages made the ranks equal before the first step."""
    return sum(count for (kind, _, _), count in messages.items() if kind == "broadcast_")


@pytest.mark.parametrize("ranks", [8, 64])
def test_ranks_share_a_batch_out_in_order(dataset, ranks):
    source = SequenceSource(dataset, 16, seed=3)
    parts = []
    for rank in range(ranks):
        with mock.patch.dict("os.environ", {"RANK": str(rank), "WORLD_SIZE": str(ranks)}):
            parts.append(torch_backend._Share(source, Ranks()).batch(5, 2 * ranks))
    assert {part.shape for part in parts} == {(2, 17)}
    assert np.array_equal(np.concatenate(parts), source.batch(5, 2 * ranks))


def test_sums_over_ranks_of_sharded_gradients_are_averages(library, dataset, tmp_path):
    with mock.patch.object(
        dist, "reduce_scatter_single", wraps=dist.reduce_scatter_single
    ) as scatter:
        train(library, tmp_path, dataset, WAYS["8 sharded"], steps=1)
    assert {call.kwargs["op"] for call in scatter.call_args_list} == {dist.ReduceOp.AVG}


def spoilt(monkeypatch: pytest.MonkeyPatch, after: Callable[[Training], None]) -> None:
    """Let something happen after every step of a training."""
    step = Training.step

    def worse(self: Training) -> None:
        step(self)
        after(self)

    monkeypatch.setattr(loop.Training, "step", worse)


def test_a_number_read_in_the_loop_is_noticed(library, dataset, tmp_path, monkeypatch):
    spoilt(monkeypatch, lambda training: training.curve[0, 0].item())
    _, watch = train(library, tmp_path, dataset, WAYS["alone"])
    with pytest.raises(AssertionError):
        check_hot_loop(watch, 2, ALONE)


def test_memory_that_is_not_pinned_is_noticed(library, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    _, watch = train(library, tmp_path, dataset, WAYS["alone"])
    with pytest.raises(AssertionError):
        check_hot_loop(watch, 2, ALONE)


def test_a_tensor_on_the_wrong_device_is_noticed(library, dataset, tmp_path, monkeypatch):
    def leave(training: Training) -> None:
        training.model.cos = training.model.cos.cpu()

    spoilt(monkeypatch, leave)
    with pytest.raises((AssertionError, RuntimeError), match=r"cuda|GPU"):
        train(library, tmp_path, dataset, WAYS["alone"])


def test_a_kernel_that_gpus_lack_is_noticed(library):
    with gpus(library), Watch() as watch:
        q = torch.empty(1, 2, 16, 8, device="cuda:0")
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, q, q, 0.0, True)
    lacking = [str(found) for found in watch.operators if not runs_on_gpus(found)]
    assert lacking == ["aten._scaled_dot_product_flash_attention_for_cpu.default"]


def save_on_cpu(root: Path, job: Job) -> None:
    """Leave the state of a run on a CPU after one step."""
    model = Decoder(job.config)
    initialise(model, job.cell.seed)
    source = SequenceSource(job.dataset, job.config.context, job.cell.seed)
    training = Training(model, job.recipe, job.steps, source)
    training.step()
    with open_state(root / "cell") as state:
        training.save(state, {"wall_seconds": 1.0})


@pytest.mark.parametrize("way", [Way(), Way(8), Way(8, shard=True)])
def test_a_state_saved_on_a_cpu_is_gone_on_from(library, dataset, tmp_path, way):
    save_on_cpu(tmp_path, make_job(tmp_path, dataset, way, 2))
    outcome, watch = train(library, tmp_path, dataset, way)
    assert outcome.steps == 2
    assert watch.queued == {"train/loop.py:Training._batch": 1}
    # Weights and two moments, the count of steps, the curve.
    assert watch.uploads["train/checkpoint.py:Saved.fill"] == 3 * MATRICES + 2


def test_a_state_saved_from_a_gpu_is_on_the_cpu(library, dataset, tmp_path, monkeypatch):
    saved: dict[str, torch.Tensor] = {}

    def write(path: Path, tensors: dict[str, torch.Tensor], _: dict[str, str]) -> None:
        saved.update(tensors)
        path.write_bytes(b"")

    monkeypatch.setattr(checkpoint, "save_tensors", write)
    job = make_job(tmp_path, dataset, Way(), 2)
    source = SequenceSource(dataset, 16, 0)
    with gpus(library), Watch():
        training = torch_backend._training(job, Ranks(), torch.device("cuda", 0), source)
        training.step()
        (tmp_path / "state").mkdir()
        training.save(StateFolder(tmp_path / "state"), {})
        shapes = {name: value.shape for name, value in training.tensors().items()}
    assert {value.device.type for value in saved.values()} == {"cpu"}
    assert all(value.is_contiguous() for value in saved.values())
    assert {name: value.shape for name, value in saved.items()} == {
        **shapes,
        "curve": torch.Size([1, 3]),
    }


def test_a_sharded_state_is_given_away_as_the_shards_on_the_gpu(library, dataset, tmp_path):
    way = Way(8, 3, shard=True)
    job = make_job(tmp_path, dataset, way, 2)
    source = SequenceSource(dataset, 16, 0)
    with gpus(library, way.rank, way.ranks), Watch():
        ranks, device = Ranks(), torch.device("cuda", 3)
        ranks.join(device)
        try:
            training = torch_backend._training(job, ranks, device, source)
            tensors = training.tensors()
            assert {str(value.device) for value in tensors.values()} == {"cuda:3"}
            head = tensors["weights/head"]
            assert (head.shape, head.to_local().shape) == ((64, 16), (8, 16))
        finally:
            ranks.leave()


def test_a_decoder_answers_on_a_gpu(library):
    """The two that take a device; `generate` needs each token before it can ask for the next."""
    config = ModelConfig.from_record(make_params()["model"])
    with gpus(library), torch.no_grad(), Watch() as watch:
        model = Decoder(config).to("cuda:0")
        assert str(model(torch.zeros(2, 5, dtype=torch.int64, device="cuda:0")).device) == "cuda:0"
        assert len(generate(model, [1, 2], 3, 0.0, 0)) == 3
    assert watch.downloads == {"model/generate.py:generate": 3}
    assert all(map(runs_on_gpus, watch.operators))


def test_losses_and_tasks_are_for_the_cpu_and_refuse_a_gpu(library):
    config = ModelConfig.from_record(make_params()["model"])
    request = Request((1, 2), (3,))
    with gpus(library), Watch() as watch:
        with pytest.raises((AssertionError, RuntimeError), match=r"cuda|GPU"):
            score_requests(Decoder(config).to("cuda:0"), [request])
        before = watch.operators.copy()
        model = Decoder(config)
        initialise(model, 0)
    score_requests(model, [request])
    assert watch.operators == before


class Zeros:
    """A source of batches for a rank."""

    def __init__(self, sequences: int, context: int) -> None:
        self.tokens = np.zeros((sequences, context + 1), np.int64)

    def batch(self, *_: int) -> np.ndarray:
        return self.tokens


def peak_bytes(library: Any, job: Job, way: Way) -> int:
    """Return the most bytes of live tensors on the GPU of one rank, in a step of one part."""
    parts = job.recipe.micro, job.config.context
    with gpus(library, way.rank, way.ranks), Watch() as watch:
        ranks, device = Ranks(), torch.device("cuda", way.rank % 8)
        ranks.join(device)
        try:
            training = torch_backend._training(job, ranks, device, Zeros(*parts))
            training.step()
        finally:
            ranks.leave()
    return watch.peak


@pytest.mark.parametrize(
    "way",
    [
        Way(),
        Way(recompute=True),
        Way(8, precision="bf16"),
        Way(8, shard=True),
        Way(64, precision="bf16", shard=True),
    ],
)
def test_the_memory_of_a_step_is_the_planned_one(library, dataset, tmp_path, way):
    size = {"width": 256, "layers": 6, "heads": 4, "vocab": 2048, "context": 128}
    more = {"ffn_multiple": 64, "micro_sequences": 16, KEY: True}
    job = make_job(tmp_path, dataset, way, 1, **size, **more)
    shape = arithmetic.shape_of(job.params["model"])
    planned = memory.rank_bytes(shape, 16, way.ranks, way.shard, way.recompute, way.precision)
    assert 1.0 < planned / peak_bytes(library, job, way) < 1.1


def test_plans_know_the_logits_that_the_loss_holds():
    assert loss._CHUNK_ELEMENTS["cuda"] == memory.CHUNK
    assert memory.FEWEST_ROWS == loss._FEWEST_ROWS
