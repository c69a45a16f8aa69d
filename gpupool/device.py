"""Which device the command line uses, and what the machine offers; looking never raises, however broken CUDA is.

The NVIDIA driver is asked through ctypes, so that the answer does not depend on the CUDA packages installed: a machine
with a GPU and none of them is exactly the one that has to be told what to install.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from gpupool.failure import CommandError

OLDEST_CAPABILITY = (7, 5)  # Turing, the oldest that the CUDA 13 compilers still build for
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUdevice_attribute


class Gpu(NamedTuple):
    """One GPU as the driver describes it."""

    name: str
    memory: int
    capability: tuple[int, int]


class Driver(NamedTuple):
    """The NVIDIA driver: the newest CUDA that it runs, its GPUs, and what is wrong with it, if anything."""

    cuda: tuple[int, int] | None
    gpus: tuple[Gpu, ...]
    problem: str | None


def probe_driver() -> Driver:
    """Ask the driver library for its version and GPUs."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        library = ctypes.CDLL(name)
    except OSError:
        return Driver(None, (), f"no NVIDIA driver found ({name}); install one from https://www.nvidia.com/drivers")
    try:
        return _ask(library)
    except (AttributeError, RuntimeError) as error:
        return Driver(None, (), f"the NVIDIA driver does not work: {error}")


def _ask(library: Any) -> Driver:
    """The calls of `probe_driver`; raises RuntimeError with the driver's own words."""

    def call(function: str, *arguments: Any) -> None:
        code = getattr(library, function)(*arguments)
        if code:
            text = ctypes.c_char_p()
            library.cuGetErrorString(code, ctypes.byref(text))
            raise RuntimeError(f"{function}: {(text.value or b'unknown error').decode()} (error {code})")

    def integer(function: str, *arguments: Any, kind: Any = ctypes.c_int) -> int:
        value = kind()
        call(function, ctypes.byref(value), *arguments)
        return int(value.value)

    cuda = divmod(integer("cuDriverGetVersion"), 1000)
    version = (cuda[0], cuda[1] // 10)
    try:
        call("cuInit", 0)
        gpus = []
        for index in range(integer("cuDeviceGetCount")):
            handle = integer("cuDeviceGet", index)
            name = ctypes.create_string_buffer(256)
            call("cuDeviceGetName", name, 256, handle)
            memory = integer("cuDeviceTotalMem_v2", handle, kind=ctypes.c_size_t)
            major, minor = (
                integer("cuDeviceGetAttribute", which, handle) for which in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR)
            )
            gpus.append(Gpu(name.value.decode(errors="replace"), memory, (major, minor)))
    except RuntimeError as error:
        return Driver(version, (), f"the NVIDIA driver finds no usable GPU: {error}")
    return Driver(version, tuple(gpus), None if gpus else "the NVIDIA driver finds no GPU")


def simulator_is_on() -> bool:
    """Whether Numba runs CUDA kernels in its simulator (NUMBA_ENABLE_CUDASIM=1)."""
    from numba import config

    return bool(getattr(config, "ENABLE_CUDASIM", False))


def installed(package: str) -> bool:
    """Whether a package can be found, without importing it."""
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def gpu_problem(driver: Driver) -> str | None:
    """Why gpupool cannot use a GPU here and what to do about it; None where it can."""
    if driver.problem is not None:
        return driver.problem
    if all(gpu.capability < OLDEST_CAPABILITY for gpu in driver.gpus):
        return f"the GPU is too old: compute capability {_dotted(OLDEST_CAPABILITY)} or newer is needed"
    needed = {"numba-cuda": "numba_cuda", "cuda-core": "cuda.core", "CuPy": "cupy"}
    missing = [name for name, module in needed.items() if not installed(module)]
    if missing:
        extra = "cuda13" if driver.cuda is None or driver.cuda >= (13, 0) else "cuda12"
        return f'{" and ".join(missing)} not installed: pip install "gpupool[{extra}]"'
    return None


def _dotted(version: tuple[int, int]) -> str:
    """(7, 5) -> '7.5'."""
    return ".".join(map(str, version))


@dataclass(frozen=True)
class Device:
    """Where the command line pools: how arrays get there and back."""

    label: str
    to_device: Callable[[np.ndarray], Any]
    to_host: Callable[[Any], np.ndarray]
    synchronize: Callable[[], None]
    is_cpu: bool = False

    def pool(self, array: np.ndarray, op: str, window: Any, **options: Any) -> np.ndarray:
        """`gpupool.pool` of a NumPy array on this device, its errors as `CommandError`."""
        import gpupool

        try:
            return self.to_host(gpupool.pool(self.to_device(array), op, window, **options))
        except (ValueError, TypeError) as error:
            raise CommandError(str(error)) from error
        except MemoryError:
            raise
        except Exception as error:
            # CuPy, numba-cuda and cuda-core each have their own exceptions for a driver that fails.
            if self.is_cpu:
                raise
            raise CommandError(f"{self.label} failed: {error}") from error


def choose(requested: str) -> Device:
    """The device for `auto`, `cpu` or `cuda`; `auto` never fails."""
    if requested == "cpu" or (requested == "auto" and simulator_is_on()):
        return cpu()
    try:
        return _simulator() if simulator_is_on() else gpu()
    except CommandError as error:
        if requested == "auto":
            return cpu()
        raise CommandError(f"--device cuda: {error}") from error


def gpu() -> Device:
    """CuPy's current device, or a CommandError that says why there is none."""
    problem = gpu_problem(probe_driver())
    if problem is not None:
        raise CommandError(problem)
    try:
        return _cupy()
    except Exception as error:  # a broken CuPy fails in ways of its own
        raise CommandError(f"CuPy does not work: {error}") from error


def cpu() -> Device:
    """NumPy arrays on the CPU."""
    import gpupool

    threads = gpupool.get_num_threads()
    label = f"CPU ({threads} thread{'s' if threads != 1 else ''})"
    return Device(label, lambda array: array, lambda array: array, lambda: None, is_cpu=True)


def _simulator() -> Device:
    """Numba's CUDA simulator."""
    from numba import cuda

    return Device("CUDA simulator", cuda.to_device, lambda array: array.copy_to_host(), cuda.synchronize)


def _cupy() -> Device:
    """CuPy on its current device."""
    import cupy

    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    return Device(name, cupy.asarray, cupy.asnumpy, lambda: cupy.cuda.get_current_stream().synchronize())
