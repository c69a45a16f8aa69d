"""One case on the GPU: data, contenders, checks, timing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import check
from benchmarks.cases import Case
from benchmarks.cpu_rows import add_checked, reason
from benchmarks.gpu_peers import GPU_PEERS, copies, gpupool_cuda, on_host, random_device_array
from benchmarks.gpu_timing import MAX_CALLS, GpuTimer, device_name, l2_bytes
from benchmarks.report import Row
from benchmarks.timing import Contender, buffer_sets

COPY_BYTES = 1 << 30


class NoGpu(RuntimeError):
    """The GPU benchmarks cannot run here; the message says why."""


@dataclass
class Gpu:
    """The device, CuPy, and the timer on its stream."""

    cupy: Any
    timer: GpuTimer
    name: str

    @classmethod
    def find(cls) -> Gpu:
        """The current device, or NoGpu."""
        try:
            import cupy

            count = cupy.cuda.runtime.getDeviceCount()
        except Exception as error:  # no CuPy, no driver, no device: CuPy has a class of its own for each
            raise NoGpu(f"no CUDA device found: {reason(error)}") from error
        if not count:
            raise NoGpu("no CUDA device found")
        return cls(cupy, GpuTimer(cupy), device_name(cupy))

    def copy_gbps(self) -> float:
        """Device copy speed on 1 GiB, bytes read and written."""
        with self.timer.stream:
            contenders = copies(self.cupy, 2 * COPY_BYTES, 1, self.timer.stream)
        self.timer.measure(contenders, 1, 10)
        return 2 * COPY_BYTES / min(c.seconds for c in contenders) * 1e-9


def variant_name(case: Case, x: Any) -> str:
    """Name of the kernel that gpupool runs for a case."""
    from gpupool.backends.cuda import kernel_name

    return kernel_name(case.function, x, **case.kwargs)


def run_case(gpu: Gpu, case: Case, rounds: int, peers: tuple[str, ...]) -> Row:
    """Measure one case. Whatever goes wrong ends up in the row's `errors` or `missing`."""
    row = Row.of(case)
    row.buffers = min(MAX_CALLS, buffer_sets(case.bytes, l2_bytes(gpu.cupy)))
    with gpu.timer.stream:
        shape = case.in_layout(case.shape)
        xs = [random_device_array(gpu.cupy, shape, case.dtype) for _ in range(row.buffers)]
        planes = gpu.cupy.asnumpy(check.channels_first(case, xs[0])[check.checked_planes(case)])
        try:
            contenders = [gpupool_cuda(gpu.cupy, case, xs)]
            ours = on_host(gpu.cupy, case, contenders[0].call(0))
            check.check_gpupool(case, planes, ours)
            row.variant = variant_name(case, xs[0])
        except Exception as error:  # one broken case must not cost the others
            row.errors.append(reason(error))
            return row
        ulp = check.error_in_ulp(case, planes, ours)
        if ulp is not None:
            row.ulp["gpupool"] = round(ulp, 3)
        contenders += _peers(gpu, row, case, xs, planes, ours, peers)
        contenders += copies(gpu.cupy, case.bytes, row.buffers, gpu.timer.stream)
    gpu.timer.measure(contenders, row.buffers, rounds)
    row.take(contenders)
    return row


def _peers(
    gpu: Gpu, row: Row, case: Case, xs: list[Any], planes: np.ndarray, ours: np.ndarray, names: tuple[str, ...]
) -> list[Contender]:
    """The peers that can do this case and agree with gpupool."""
    ready = []
    for name in names:
        try:
            peer = GPU_PEERS[name](gpu.cupy, case, xs, gpu.timer.stream)
            raw = peer.call(0)
            gpu.timer.stream.synchronize()
            theirs = None if peer.result is None else peer.result(raw)
        except Exception as error:  # a peer's own exception types: it is reported by name
            row.missing[name] = reason(error)
            continue
        if add_checked(row, case, planes, ours, peer, theirs):
            ready.append(peer)
    return ready
