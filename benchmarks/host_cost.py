"""What a call costs the host before the GPU does anything, measured without a GPU.

    python -m benchmarks.host_cost

Arrays that look like CuPy's, with the driver's launch and the allocator replaced by functions that do nothing: what
is left is gpupool's own work. Beside it stands what Numba's own launcher costs with two such arrays, its driver calls
replaced the same way.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

import gpupool

SHAPE, WINDOW = (1, 3, 32, 32), 2
BATCHES, CALLS = 50, 500
LIMIT_US = 5.0  # with out=, the plan cached


class _Pointer:
    """Where a fake array's memory would be."""

    def __init__(self, address: int) -> None:
        self.ptr, self.device_id = address, 0


class FakeArray:
    """What gpupool reads of a CuPy array, and a `__cuda_array_interface__` for everyone else."""

    __module__ = "cupy"

    def __init__(self, shape: tuple[int, ...], dtype: Any, address: int = 1 << 20) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.strides = np.empty(shape, np.dtype(dtype)).strides
        self.data = _Pointer(address)

    def transpose(self, axes: tuple[int, ...]) -> FakeArray:
        """The same memory with its axes in another order."""
        other = FakeArray(tuple([self.shape[a] for a in axes]), self.dtype, self.data.ptr)
        other.strides = tuple([self.strides[a] for a in axes])
        return other

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape, "strides": None, "typestr": self.dtype.str,
            "data": (self.data.ptr, False), "version": 3,
        }  # fmt: skip


class _Stream:
    ptr = 0


class FakeCupy:
    """The three things of the module that gpupool uses."""

    class cuda:
        """Streams."""

        stream = _Stream()

        @classmethod
        def get_current_stream(cls) -> _Stream:
            """The default stream."""
            return cls.stream

    @staticmethod
    def empty(shape: tuple[int, ...], dtype: Any) -> FakeArray:
        """An allocator that does nothing."""
        return FakeArray(shape, dtype, 1 << 24)


def per_call_us(call: Callable[[], Any], calls: int = CALLS) -> float:
    """Microseconds of a call, in the best of a number of batches of so many calls."""
    call()
    found = []
    for _ in range(BATCHES):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        found.append((time.perf_counter() - start) / calls * 1e6)
    return min(found)  # the machine is not ours alone: what disturbs a batch only ever adds


def _no_driver() -> tuple[int, int]:
    """The driver's answer that device 0 is current."""
    return 0, 0


class FakeDriver:
    """The driver's answers about memory between two launches."""

    @staticmethod
    def cuMemAllocFromPoolAsync(*_: Any) -> tuple[int, int]:
        """An allocator that does nothing."""
        return 0, 1 << 28

    @staticmethod
    def cuMemFreeAsync(*_: Any) -> tuple[int]:
        """And its counterpart."""
        return (0,)


@contextlib.contextmanager
def fake_cupy() -> Iterator[None]:
    """CuPy replaced, and nothing else: what is imported meanwhile stays imported, or its classes would exist twice."""
    before = sys.modules.get("cupy")
    sys.modules["cupy"] = FakeCupy  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["cupy"]
        if before is not None:
            sys.modules["cupy"] = before


@contextlib.contextmanager
def no_gpu_needed(
    launch: Callable[..., tuple] = lambda *_: (0,), load: Callable[..., int] = lambda *_: 1
) -> Iterator[None]:
    """CuPy and the driver replaced: `load` is called instead of loading a kernel, `launch` instead of starting it."""
    from gpupool.backends import cuda, cuda_arrays, cuda_launch, cuda_many

    with contextlib.ExitStack() as stack:
        stack.enter_context(fake_cupy())
        stack.enter_context(mock.patch.dict(cuda._calls, clear=True))
        stack.enter_context(mock.patch.dict(cuda_many._calls, clear=True))
        stack.enter_context(mock.patch.dict(cuda_arrays._libraries, clear=True))
        stack.enter_context(mock.patch.object(cuda_launch, "load", load))
        stack.enter_context(mock.patch.object(cuda_launch, "driver", FakeDriver))
        stack.enter_context(mock.patch.object(cuda_launch, "memory_pool", return_value="pool"))
        stack.enter_context(mock.patch.object(cuda_launch, "launcher", return_value=launch))
        stack.enter_context(mock.patch.object(cuda_launch, "_current", _no_driver))
        yield


def gpupool_costs() -> dict[str, float]:
    """Calls with and without `out`, the launch doing nothing."""
    with no_gpu_needed():
        x = FakeArray(SHAPE, np.float32)
        out = FakeArray((*SHAPE[:2], SHAPE[2] // WINDOW, SHAPE[3] // WINDOW), np.float32, 1 << 22)
        return {
            "max_pool2d with out": per_call_us(lambda: gpupool.max_pool2d(x, WINDOW, out=out)),
            "max_pool2d": per_call_us(lambda: gpupool.max_pool2d(x, WINDOW)),
            "global_avg_pool2d": per_call_us(lambda: gpupool.global_avg_pool2d(x)),
        }


def _giving(value: Any) -> Callable[..., Any]:
    """A function that gives this at once: a Mock would take longer than what it stands for."""
    return lambda *_: value


@contextlib.contextmanager
def no_gpu_needed_by_numba() -> Iterator[None]:
    """What of Numba's launcher is the driver's, replaced: the context, loading, an address's device, the launch itself.

    Everything else runs as on a machine with a GPU: the types of the arguments, the choice of the compiled kernel, the
    arrays' views, the arguments' packing, cuda.core's launch configuration.
    """
    from cuda.bindings import driver
    from numba import config
    from numba.cuda import codegen, dispatcher
    from numba.cuda.cudadrv import devices

    loaded = SimpleNamespace(kernel=None, name="", module=SimpleNamespace(initialized=True))
    context = SimpleNamespace(id=0, device=SimpleNamespace(id=0, compute_capability=(9, 0)))
    with (
        mock.patch.object(type(devices._runtime), "get_or_create_context", _giving(context)),
        mock.patch.object(codegen.CUDACodeLibrary, "get_cufunc", _giving(loaded)),
        mock.patch.object(driver, "cuPointerGetAttribute", _giving((driver.CUresult.CUDA_SUCCESS, 0))),
        mock.patch.object(dispatcher, "launch", _giving(None)),
        mock.patch.object(config, "CUDA_LOW_OCCUPANCY_WARNINGS", 0),
    ):
        yield


def numba_cost() -> float | str:
    """Numba's own launcher with the same two arrays, the launch doing nothing; a reason where it cannot be had."""
    try:
        from numba import cuda

        @cuda.jit
        def pool(source, target, width):  # type: ignore[no-untyped-def]
            i = cuda.grid(1)
            if i < target.size:
                target[i] = source[i * width]

        with no_gpu_needed_by_numba():
            x, y = FakeArray((3072,), np.float32), FakeArray((768,), np.float32, 1 << 22)
            launcher = pool[6, 128]
            return per_call_us(lambda: launcher(x, y, WINDOW), 50)
    except Exception as error:  # internals of numba-cuda and cuda-core, which change from release to release
        return f"not measured: {type(error).__name__}: {error}"


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.host_cost", description=__doc__.split("\n")[0])
    parser.add_argument("--json", help="also write the figures to this file")
    options = parser.parse_args(arguments)
    costs: dict[str, Any] = {**gpupool_costs(), "numba launcher": numba_cost()}
    for name, cost in costs.items():
        print(f"{name:<24} {cost if isinstance(cost, str) else f'{cost:.2f} us'}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(costs, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
