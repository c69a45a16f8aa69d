"""Launching: compiled kernels by the driver on the caller's stream, or the same source in Numba's simulator.

A prepared launch holds its packed arguments; a call writes the array addresses into them and starts the kernel. Nothing
here copies or synchronises, and device memory is allocated only between two launches that belong together.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections import deque
from typing import Any

import numpy as np

from gpupool.backends.cuda_choose import Launch
from gpupool.kernels.cuda.compile import Kernel, cubin, simulated
from gpupool.kernels.cuda.memory import SIMULATED

POOL_BYTES = 1 << 22  # what a pool of ours keeps from the driver

lock = threading.RLock()
_functions: dict[tuple, tuple[Any, int]] = {}


class CudaUnavailable(RuntimeError):
    """The GPU path cannot run here; the message says why and what to install."""


@functools.cache
def driver() -> Any:
    """The driver's Python bindings, ready, or one sentence saying what is missing."""
    try:
        from cuda.bindings import driver as bindings
    except ImportError as error:
        raise CudaUnavailable(
            f'gpupool needs numba-cuda and cuda-core to pool device arrays ({error}): pip install "gpupool[cuda13]", '
            'or "gpupool[cuda12]" for a CUDA 12 driver'
        ) from None
    try:
        (code,) = bindings.cuInit(0)
    except Exception as error:  # the bindings' own types differ from release to release
        raise CudaUnavailable(
            f"no NVIDIA driver could be loaded ({error}): install one from https://www.nvidia.com/drivers"
        ) from None
    if code:
        raise CudaUnavailable(f"the NVIDIA driver did not start: {code.name} ({int(code)}); is there a GPU?")
    return bindings


def check(result: tuple) -> Any:
    """The value of a driver call, or an error with the driver's own words."""
    code = result[0]
    if code:
        raise CudaUnavailable(f"the CUDA driver failed: {code.name} ({int(code)})")
    return result[1] if len(result) == 2 else result[1:]


def capability(device: int) -> tuple[int, int]:
    """Compute capability of a device."""
    cu = driver()
    attribute = cu.CUdevice_attribute
    handle = check(cu.cuDeviceGet(device))
    major = check(cu.cuDeviceGetAttribute(attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, handle))
    minor = check(cu.cuDeviceGetAttribute(attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, handle))
    return int(major), int(minor)


def device_of(address: int) -> int:
    """The device that owns this memory."""
    cu = driver()
    check(cu.cuInit(0))
    return int(check(cu.cuPointerGetAttribute(cu.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address)))


_current: Any = None


def current_device() -> int:
    """The device of the current context, -1 where there is none."""
    global _current
    if _current is None:
        _current = driver().cuCtxGetDevice
    code, device = _current()
    return -1 if code else int(device)


def launcher() -> Any:
    """The driver's launch function."""
    return driver().cuLaunchKernel


class on_device:
    """Make a device's primary context current, as CuPy, PyTorch, JAX and Numba use it, and then the caller's again."""

    def __init__(self, device: int) -> None:
        self.device = device
        self.pushed = False

    def __enter__(self) -> None:
        if current_device() == self.device:
            return
        cu = driver()
        check(cu.cuInit(0))
        check(cu.cuCtxPushCurrent(check(cu.cuDevicePrimaryCtxRetain(check(cu.cuDeviceGet(self.device))))))
        self.pushed = True

    def __exit__(self, *_: object) -> None:
        if self.pushed:
            check(driver().cuCtxPopCurrent())
            check(driver().cuDevicePrimaryCtxRelease(check(driver().cuDeviceGet(self.device))))


def load(kernel: Kernel, device: int) -> int:
    """The handle of a kernel in a device's primary context, which is current."""
    key = (kernel.key, device)
    with lock:
        found = _functions.get(key)
        if found is None:
            from cuda.core import ObjectCode

            cu = driver()
            code = ObjectCode.from_cubin(cubin(kernel, capability(device)), name=kernel.name)
            entry = code.get_kernel(kernel.name)
            # Loaded here and not lazily at the first launch, which may be part of a graph that is being captured.
            function = check(cu.cuKernelGetFunction(cu.CUkernel(int(entry.handle))))
            found = _functions[key] = (entry, int(function))
        return found[1]


def numbers(launch: Launch) -> list[tuple[int, int]]:
    """The integer arguments in the kernel's order, each with its width in bits."""
    g, narrow, wide = launch.geometry, launch.kernel.index_bits, launch.kernel.offset_bits
    packed: list[tuple[int, int]] = []
    for batch in (g.outer, g.outer2, g.inner):
        packed += [(batch.n, narrow), (batch.xs, wide), (batch.ys, wide)]
    for axis in (g.d, g.h, g.w):
        packed += [(v, narrow) for v in axis[:8]] + [(axis.xs, wide), (axis.ys, wide)]
    walk = [(v, narrow) for one in launch.walk for v in one]
    return [*packed, (g.divisor, narrow), *walk, (launch.units, narrow)]


class Arguments:
    """One kernel's arguments in memory, and the array of pointers to them that the driver reads."""

    def __init__(self, pointers: int, integers: list[tuple[int, int]]) -> None:
        # Each argument in a slot of 8 bytes; the driver reads the low half of those that are 32 bits wide.
        values = [v & (2**bits - 1) for v, bits in integers]
        self.slots = (ctypes.c_uint64 * (pointers + len(values)))(*([0] * pointers), *values)
        start = ctypes.addressof(self.slots)
        self.table = (ctypes.c_void_p * len(self.slots))(*range(start, start + 8 * len(self.slots), 8))
        self.address = ctypes.addressof(self.table)


class Prepared:
    """A launch with its kernel loaded and its integers packed; any number of threads may run it."""

    def __init__(self, launch: Launch, device: int) -> None:
        self.launch = launch
        self.function = load(launch.kernel, device)
        self.start = functools.partial(launcher(), self.function, launch.grid, 1, 1, launch.block, 1, 1, 0)
        self.integers = numbers(launch)
        self.free: deque[Arguments] = deque()

    def __call__(self, stream: int, x: int, y: int, where: int | None) -> None:
        """Start the kernel on a stream; the arguments are the driver's own copy when this returns."""
        try:
            arguments = self.free.pop()
        except IndexError:
            arguments = Arguments(2 if where is None else 3, self.integers)
        slots = arguments.slots
        slots[0] = x
        slots[1] = y
        if where is not None:
            slots[2] = where
        code = self.start(stream, arguments.address, 0)[0]
        self.free.append(arguments)
        if code:
            raise CudaUnavailable(f"{self.launch.kernel.name}: launch failed: {code.name} ({int(code)})")


@functools.cache
def memory_pool(device: int) -> Any:
    """A pool of our own on a device, which keeps what was given back; None where the device has no pools."""
    cu = driver()
    if not check(cu.cuDeviceGetAttribute(cu.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, device)):
        return None
    wanted = cu.CUmemPoolProps()
    wanted.allocType = cu.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
    wanted.location.type = cu.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    wanted.location.id = device
    pool = check(cu.cuMemPoolCreate(wanted))
    kept = cu.cuuint64_t(POOL_BYTES)
    check(cu.cuMemPoolSetAttribute(pool, cu.CUmemPool_attribute.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, kept))
    return pool


def scratch_bytes(launch: Launch) -> tuple[int, int]:
    """Bytes of the accumulators between two launches: where the second part of each begins, and all of them."""
    constants = dict(launch.kernel.constants)
    first = -(-launch.scratch * np.dtype(constants["ACC0"]).itemsize // 256) * 256
    second = launch.scratch * np.dtype(constants["ACC1"]).itemsize if constants["PARTS"] == 2 else 0
    return first, first + second


class PreparedPair:
    """Two launches with accumulators in memory between them, which is allocated in the stream's own order.

    So it is safe on any number of streams, and inside a graph it becomes part of the graph. Devices without memory
    pools allocate at once, and wait before they give the memory back.
    """

    def __init__(self, launch: Launch, device: int) -> None:
        assert launch.then is not None
        self.launch = launch
        self.first, self.second = Prepared(launch, device), Prepared(launch.then, device)
        self.other, self.bytes = scratch_bytes(launch)
        self.pool = memory_pool(device)

    def __call__(self, stream: int, x: int, y: int, _where: int | None) -> None:
        """Start both kernels on a stream."""
        cu = driver()
        if self.pool is None:
            scratch = int(check(cu.cuMemAlloc(self.bytes)))
        else:
            scratch = int(check(cu.cuMemAllocFromPoolAsync(self.bytes, self.pool, stream)))
        try:
            self.first(stream, x, scratch, scratch + self.other)
            self.second(stream, scratch, scratch + self.other, y)
        finally:
            check(cu.cuMemFree(scratch) if self.pool is None else cu.cuMemFreeAsync(scratch, stream))


def prepared(launch: Launch, device: int | None) -> Any:
    """A launch, or a pair, ready to run."""
    if SIMULATED:
        return PreparedSimulation(launch)
    return (Prepared if launch.then is None else PreparedPair)(launch, device or 0)


class PreparedSimulation:
    """The same for Numba's simulator, which runs one kernel at a time and takes flat NumPy memory."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.kernel = simulated(launch.kernel)
        self.then = None if launch.then is None else PreparedSimulation(launch.then)

    def __call__(self, memories: list[tuple[np.ndarray, int]]) -> None:
        """Run the kernel to its end, and the one that belongs to it."""
        from gpupool.kernels.cuda.memory_simulated import Flat

        launch = self.launch
        if self.then is not None:
            constants, (x, y) = dict(launch.kernel.constants), memories
            parts = [(np.zeros(launch.scratch, constants[name]), 0) for name in ("ACC0", "ACC1")]
            memories = [x, *parts]
        with lock:
            self.kernel[launch.grid, launch.block](
                *[Flat(*m) for m in memories], launch.geometry, launch.walk, launch.units
            )
        if self.then is not None:
            self.then([*parts, y])


__all__ = [
    "SIMULATED",
    "CudaUnavailable",
    "check",
    "device_of",
    "driver",
    "on_device",
    "prepared",
]
