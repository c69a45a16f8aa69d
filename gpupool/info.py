"""`gpupool info`: what was found on this machine, and why the GPU path is unavailable where it is."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from gpupool import device

PACKAGES = (
    "gpupool",
    "numpy",
    "numba",
    "numba-cuda",
    "cuda-core",
    "cuda-bindings",
    "cupy",
    "torch",
    "jax",
    "ml_dtypes",
    "pillow",
    "tifffile",
    "scikit-image",
)
CUPY_NAMES = ("cupy-cuda13x", "cupy-cuda12x", "cupy")
ENVIRONMENT = ("GPUPOOL_NUM_THREADS", "GPUPOOL_CACHE_DIR", "NUMBA_ENABLE_CUDASIM", "CUDA_VISIBLE_DEVICES")


def report() -> str:
    """The whole text."""
    sections = (_versions(), _cpu(), _gpu())
    return "\n\n".join("\n".join(f"{name:<21} {value}" for name, value in section) for section in sections)


def _versions() -> list[tuple[str, str]]:
    """Python and the packages that gpupool works with."""
    system = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return [("python", system), *((name, package_version(name)) for name in PACKAGES)]


def package_version(name: str) -> str:
    """The installed version, from the package's metadata: nothing is imported, so nothing can fail to load."""
    for candidate in CUPY_NAMES if name == "cupy" else (name,):
        try:
            return version(candidate) + (f" ({candidate})" if candidate != name else "")
        except PackageNotFoundError:
            continue
    return "not installed"


def _cpu() -> list[tuple[str, str]]:
    """Threads and where compiled kernels are kept."""
    import gpupool
    from gpupool.kernels.cache import cache_folder

    lines = [("CPU", f"{os.cpu_count()} logical cores, {gpupool.get_num_threads()} threads for gpupool")]
    lines.append(("cache", str(cache_folder())))
    return lines + [(name, os.environ[name]) for name in ENVIRONMENT if name in os.environ]


def _gpu() -> list[tuple[str, str]]:
    """The driver, its GPUs, the simulator, and whether arrays can be pooled on a GPU."""
    driver = device.probe_driver()
    runs = f"runs CUDA {'.'.join(map(str, driver.cuda))} and older" if driver.cuda else "not found"
    lines = [("NVIDIA driver", runs)]
    for index, gpu in enumerate(driver.gpus):
        capability = ".".join(map(str, gpu.capability))
        lines.append((f"GPU {index}", f"{gpu.name}, {gpu.memory / 2**30:.1f} GiB, compute capability {capability}"))
    simulated = device.simulator_is_on()
    lines.append(("simulator", "on" if simulated else "off (NUMBA_ENABLE_CUDASIM=1 turns it on)"))
    if simulated:
        lines.append(("GPU path", "simulated on the CPU: slow, for tests and debugging only"))
    else:
        problem = device.gpu_problem(driver) or _trial()
        lines.append(("GPU path", "available: a trial worked" if problem is None else f"unavailable: {problem}"))
    return lines


def _trial() -> str | None:
    """What goes wrong when four numbers are pooled on the GPU; None if nothing does."""
    try:
        result = device.gpu().pool(np.arange(4, dtype=np.float32).reshape(2, 2), "max", (2, 2))
    except Exception as error:  # whatever is broken, it is to be reported, not raised
        return str(error) or type(error).__name__
    return None if result.tolist() == [[3.0]] else f"pooling on the GPU gave {result.tolist()} instead of [[3.0]]"
