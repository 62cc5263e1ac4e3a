"""GPUs that are not there: fake tensors on ``cuda`` devices, and what a step did with them.

`torch._subclasses.fake_tensor.FakeTensorMode` works out shape, type and device of every result and
no number, so code for GPUs runs to its end on a machine without one. `gpus` plugs in what torch
asks of a driver and patches the rest; `Watch` sees every operator that is dispatched.
"""

import contextlib
import ctypes
import functools
import shutil
import subprocess
import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self
from unittest import mock

import safetensors
import torch
import torch.distributed as dist
import torchgen
import yaml
from torch import Tensor, nn
from torch._C._distributed_c10d import _create_work_from_future
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from scalebed.train import checkpoint
from scalebed.train.checkpoint import local_rows
from scalebed.train.distributed import sharded
from scalebed.train.distributed.ranks import Ranks, local

MEMORY = 80e9
"""Bytes of each device."""

COMPILER = shutil.which("c++")
_aten = torch.ops.aten


def build(folder: Path) -> ctypes.CDLL:
    """Compile and load ``no_gpu.cpp``."""
    root, library = Path(torch.__file__).parent, folder / "no_gpu.so"
    assert COMPILER is not None
    words = [COMPILER, "-std=c++20", "-O0", "-w", "-shared", "-fPIC", f"-I{root}/include"]
    words += [str(Path(__file__).with_name("no_gpu.cpp")), "-o", str(library)]
    subprocess.run([*words, f"-L{root}/lib", "-lc10", "-ltorch_cpu"], check=True)
    # Autograd starts a thread for each device it finds in its first backward pass: none here.
    one = torch.ones((), requires_grad=True)
    one.square().backward()
    return ctypes.CDLL(str(library))


class _Stream:
    """A stream or an event of a GPU: FSDP2 orders its copies by them, and nothing is copied."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def wait_stream(self, _: Any) -> None: ...

    def wait_event(self, _: Any) -> None: ...

    def record_event(self, _: Any = None) -> "_Stream":
        return self

    def record(self, _: Any = None) -> "_Stream":
        return self


def _moved(self: nn.Module, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    for child in self.children():
        child._apply(fn)
    for name, value in self._parameters.items():
        if value is not None:
            with torch.no_grad():
                self._parameters[name] = nn.Parameter(fn(value), value.requires_grad)
    for name, value in self._buffers.items():
        if value is not None:
            self._buffers[name] = fn(value)
    return self


def _attention(q: Tensor, k: Tensor, v: Tensor, is_causal: bool) -> Tensor:
    """Return what a GPU takes for attention: flash kernels in bf16, memory-efficient in fp32."""
    if torch.is_autocast_enabled("cuda"):
        q, k, v = (part.to(torch.get_autocast_dtype("cuda")) for part in (q, k, v))
    if v.dtype == torch.bfloat16:
        return _aten._scaled_dot_product_flash_attention(q, k, v, 0.0, is_causal)[0]
    return _aten._scaled_dot_product_efficient_attention(q, k, v, None, True, 0.0, is_causal)[0]


class _Reducer:
    """DDP's reducer, but for putting buckets in the order in which gradients came.

    It tells the ranks that order in a tensor on the CPU, and reads it there.
    """

    def __init__(self, reducer: Any) -> None:
        self._reducer = reducer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reducer, name)

    def _rebuild_buckets(self) -> bool:
        return False

    def set_logger(self, _: Any) -> None:
        """Do without one: it times the device."""


def _join(self: Ranks, device: torch.device, join: Callable[..., None]) -> None:
    def init(backend: str, **more: Any) -> None:
        assert backend == "cpu:gloo,cuda:nccl"
        assert more == {"device_id": device}
        facts = {"rank": self.rank, "world_size": self.size, "store": FakeStore()}
        start("fake", **facts)

    start = dist.init_process_group
    with mock.patch.object(dist, "init_process_group", init):
        join(self, device)


def _agree(self: Ranks, *values: int, agree: Callable[..., list[int]]) -> list[int]:
    with unset_fake_temporarily():
        return agree(self, *values)


def _patches() -> Iterator[Any]:
    cuda, patch = torch.cuda, mock.patch.object
    # What a driver is asked.
    yield patch(cuda, "device_count", lambda: 8)
    yield patch(cuda, "set_device", lambda _: None)
    yield patch(cuda, "current_device", lambda: local()[0])
    yield patch(cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=MEMORY))
    yield patch(cuda, "max_memory_allocated", lambda _: 1)
    # Otherwise autocast turns itself off.
    yield patch(cuda.amp.common, "amp_definitely_not_available", lambda: False)
    yield patch(cuda, "is_bf16_supported", lambda *_: True)
    for name in ("Stream", "Event", "current_stream"):
        yield patch(cuda, name, _Stream)
    yield patch(cuda, "stream", lambda _: contextlib.nullcontext())
    # It would allocate on the device to start the driver.
    yield patch(sys.modules[FakeTensorMode.__module__], "init_gpu_context", lambda _: None)
    # Fake parameters would be swapped in place, which fails where something refers to them weakly.
    yield patch(nn.Module, "_apply", _moved)
    # Draws until numbers lie within bounds, and there are no numbers.
    yield patch(nn.init, "trunc_normal_", lambda values, **_: values)
    # The choice of a kernel is one of those that only torch with CUDA can make.
    yield patch(nn.functional, "scaled_dot_product_attention", _attention)


class _File:
    """A safetensors file, or a slice of one, that is read as on any machine: it has the numbers."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def get_slice(self, name: str) -> "_File":
        return _File(self._file.get_slice(name))

    def get_tensor(self, name: str) -> Tensor:
        with unset_fake_temporarily():
            return self._file.get_tensor(name)

    def __getitem__(self, rows: slice) -> Tensor:
        with unset_fake_temporarily():
            return self._file[rows]


def _rows(target: Tensor) -> tuple[slice | None, Tensor]:
    return (None, target) if isinstance(target, FakeTensor) else local_rows(target)


def _mesh(*words: Any, make: Callable[..., Any]) -> Any:
    with unset_fake_temporarily():
        return make(*words)


def _rank_patches() -> Iterator[Any]:
    opened = safetensors.safe_open
    yield mock.patch.object(
        safetensors, "safe_open", lambda *words, **more: _File(opened(*words, **more))
    )
    patch, parallel = mock.patch.object, nn.parallel.distributed
    yield patch(Ranks, "join", functools.partialmethod(_join, join=Ranks.join))
    # Flags on the CPU: numbers that decide how a run goes on.
    yield patch(Ranks, "agree", functools.partialmethod(_agree, agree=Ranks.agree))
    # The fake group brings no message, but every rank has the one of the first.
    yield patch(Ranks, "told", lambda _, message, by=0: message)
    # Compares numbers that other ranks would have sent.
    yield patch(parallel, "_verify_param_shape_across_processes", lambda *_: None)
    # Fake tensors have a type of their own.
    yield patch(checkpoint, "local_rows", _rows)
    # Which rank is where: numbers on the CPU, too.
    yield patch(sharded, "init_device_mesh", functools.partial(_mesh, make=init_device_mesh))
    yield patch(dist, "Logger", mock.MagicMock())
    make = dist.Reducer
    yield patch(dist, "Reducer", lambda *words, **more: _Reducer(make(*words, **more)))


@contextlib.contextmanager
def gpus(library: ctypes.CDLL, rank: int = 0, ranks: int = 1) -> Iterator[FakeTensorMode]:
    """Run what is inside as one of some ranks, on eight GPUs that compute nothing."""
    facts = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank % 8, "LOCAL_WORLD_SIZE": 8}
    with contextlib.ExitStack() as stack:
        for patch in (*_patches(), *_rank_patches()):
            stack.enter_context(patch)
        words = {name: str(value) for name, value in facts.items()} if ranks > 1 else {}
        stack.enter_context(mock.patch.dict("os.environ", words))
        library.plug_in()
        stack.callback(library.pull_out)
        # There are no threads for the devices.
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        yield stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))


@functools.cache
def _declared() -> dict[str, dict[str, Any]]:
    """Return what torch declares of each of its operators, by name."""
    path = Path(torchgen.__file__).parent / "packaged" / "ATen" / "native" / "native_functions.yaml"
    entries = yaml.load(path.read_text(), yaml.CSafeLoader)
    return {entry["func"].partition("(")[0]: entry for entry in entries}


@functools.cache
def runs_on_gpus(func: Any) -> bool:
    """Tell whether torch with CUDA has a kernel of an operator."""
    if func.namespace != "aten":
        return bool(torch._C._dispatch_has_computed_kernel_for_dispatch_key(func.name(), "CUDA"))
    name = func.name().removeprefix("aten::")
    entry = _declared().get(name)
    if entry is None:  # made from another one by torch's build
        entry = _declared()[name.partition(".")[0].rstrip("_")]
    entry = _declared()[entry.get("structured_delegate", name)]
    if "dispatch" not in entry or "ufunc_inner_loop" in entry:
        return True
    keys = {key.strip() for keys in entry["dispatch"] for key in keys.split(",")}
    return any(key == "CUDA" or key.startswith("Composite") for key in keys)


def _place() -> str:
    """Return the innermost function of scalebed that is at work."""
    frame = sys._getframe(2)
    while frame is not None:
        if "/src/scalebed/" in frame.f_code.co_filename:
            path = frame.f_code.co_filename.partition("/src/scalebed/")[2]
            return f"{path}:{frame.f_code.co_qualname}"
        frame = frame.f_back
    return "elsewhere"


class Watch(TorchDispatchMode):
    """What operators did: waits for the device, transfers, messages, memory."""

    def __init__(self) -> None:
        super().__init__()
        self.operators: set[Any] = set()
        """Those that met a tensor on a GPU."""
        self.downloads: Counter[str] = Counter()
        """Where numbers were fetched from a GPU, which stops it."""
        self.uploads: Counter[str] = Counter()
        """Where tensors were sent to a GPU and the process waited for that."""
        self.queued: Counter[str] = Counter()
        """Where they were sent while it went on, which takes pinned memory."""
        self.messages: Counter[tuple[str, str, int]] = Counter()
        """Collectives by name, type and bytes of what a rank gives."""
        self.live = self.peak = 0
        """Bytes on GPUs, now and at most."""
        self._known: dict[int, int] = {}
        self._pinned: list[Tensor] = []

    def __enter__(self) -> Self:
        resize = torch.UntypedStorage.resize_

        def resized(storage: torch.UntypedStorage, size: int) -> Any:
            found, key = resize(storage, size), storage._cdata
            if key in self._known:
                self._change(size - self._known[key])
                self._known[key] = size
            return found

        # So does FSDP2 let go of what it gathered.
        self._resizing = mock.patch.object(torch.UntypedStorage, "resize_", resized)
        self._resizing.start()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._resizing.stop()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if DTensor in types:  # let it become what each rank does
            return NotImplemented
        kwargs = kwargs or {}
        if func.namespace == "prim":
            return func(*args, **kwargs)
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if func is _aten._local_scalar_dense.default and type(given[0]) is not Tensor:
            if given[0].is_cuda:
                self.downloads[_place()] += 1
            return {torch.bool: True}.get(given[0].dtype, 1)
        if func is _aten._pin_memory.default:  # fake tensors know no such memory
            self._pinned.append(given[0].clone())
            return self._pinned[-1]
        out = func(*args, **kwargs)
        made = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        if any(tensor.is_cuda for tensor in (*given, *made)):
            self._note(func, given, made, kwargs)
        if func is torch.ops.c10d.allreduce_.default:
            # What DDP waits for brings the tensors, but that of the fake group brings nothing.
            brought: Any = torch.futures.Future()
            brought.set_result(made)
            return out[0], _create_work_from_future(brought).boxed()
        return out

    def _is_pinned(self, tensor: Tensor) -> bool:
        return any(tensor is pinned for pinned in self._pinned)

    def _note(self, func: Any, given: list[Tensor], made: list[Tensor], kwargs: Any) -> None:
        self.operators.add(func)
        if func.namespace == "c10d":
            size = sum(tensor.nbytes for tensor in given)
            self.messages[func._opname, str(given[-1].dtype).removeprefix("torch."), size] += 1
        if func in (_aten._to_copy.default, _aten.copy_.default):
            to, source = made[0], given[-1]
            if source.is_cuda and not to.is_cuda:
                self.downloads[_place()] += 1
            if to.is_cuda and not source.is_cuda:
                free = kwargs.get("non_blocking") and self._is_pinned(source)
                (self.queued if free else self.uploads)[_place()] += 1
        elif any(tensor.device.type == "cpu" and tensor.dim() for tensor in given) and any(
            tensor.is_cuda for tensor in given
        ):
            raise AssertionError(f"{func} has tensors on the CPU and on a GPU, in {_place()}")
        for tensor in made:
            if tensor.is_cuda:
                self._count(tensor.untyped_storage())

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._known:
            self._known[key] = storage.nbytes()
            self._change(storage.nbytes())
            weakref.finalize(storage, self._free, key)

    def _free(self, key: int) -> None:
        self._change(-self._known.pop(key))

    def _change(self, size: int) -> None:
        self.live += size
        self.peak = max(self.peak, self.live)
