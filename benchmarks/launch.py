"""Host time of one call on a small device array: what a user pays before the GPU does anything."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

BATCHES, CALLS = 15, 200  # 200 calls fit into the driver's queue: the host never waits for the device
SHAPE, WINDOW = (1, 3, 32, 32), 2


def _host_us(call: Callable[[], Any], synchronize: Callable[[], Any]) -> float:
    """Median host time per call in microseconds, the device idle before each batch."""
    call()
    batches = []
    for _ in range(BATCHES):
        synchronize()
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        batches.append((time.perf_counter() - start) / CALLS * 1e6)
    synchronize()
    return median(batches)


def _numba_call(x: Any, out: Any) -> Callable[[], Any]:
    """A 2x2 maximum launched by Numba's own launcher, with the same two CuPy arrays."""
    from numba import cuda

    @cuda.jit
    def pool2x2(source, target, width):  # type: ignore[no-untyped-def]
        i = cuda.grid(1)
        if i < target.size:
            corner = (i // width) * 4 * width + (i % width) * 2
            below = corner + 2 * width
            target[i] = max(max(source[corner], source[corner + 1]), max(source[below], source[below + 1]))

    flat_x, flat_out, width = x.ravel(), out.ravel(), out.shape[-1]
    launcher = pool2x2[-(-flat_out.size // 128), 128]
    return lambda: launcher(flat_x, flat_out, width)


def launch_costs(cupy: Any) -> dict[str, float | str]:
    """Host microseconds per call of gpupool, Numba's launcher and PyTorch; a reason where one cannot be measured."""
    import gpupool

    x = cupy.random.standard_normal(SHAPE, dtype=np.float32)
    out = cupy.empty((*SHAPE[:2], SHAPE[2] // WINDOW, SHAPE[3] // WINDOW), np.float32)
    synchronize = cupy.cuda.Device().synchronize

    def torch_call() -> Callable[[], Any]:
        import torch

        tensor = torch.as_tensor(x, device="cuda")
        return lambda: torch.nn.functional.max_pool2d(tensor, WINDOW)

    makers: dict[str, Callable[[], Callable[[], Any]]] = {
        "gpupool_us": lambda: lambda: gpupool.max_pool2d(x, WINDOW, out=out),
        "numba_us": lambda: _numba_call(x, out),
        "torch_us": torch_call,
    }
    costs: dict[str, float | str] = {}
    for name, make in makers.items():
        try:
            costs[name] = round(_host_us(make(), synchronize), 3)
        except Exception as error:  # one contender's failure must not cost the others
            costs[name] = f"{type(error).__name__}: {error}"
    return costs
