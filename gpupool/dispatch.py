"""Array type -> backend, by protocol. Imports no array library but NumPy; a backend is imported when first needed.

| array | backend |
| --- | --- |
| NumPy arrays, scalars, lists | cpu |
| CPU tensors of other libraries, by DLPack | cpu, the result in the same library |
| the CUDA simulator's arrays, by type | cuda |
| `__cuda_array_interface__`, DLPack on a CUDA device | cuda |
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from .jobs import Job
from .request import Request

SIMULATED = "numba.cuda.simulator"
ALWAYS_CUDA = ("cupy", "numba")  # libraries whose arrays with __cuda_array_interface__ are never anywhere else
HOST_RUNNERS = {"run", "run_array_like"}  # NumPy arrays and what NumPy can read go together
DLPACK_CPU, DLPACK_CUDA, DLPACK_CUDA_MANAGED = 1, 2, 13

# Types whose every instance belongs to one backend. Others (a torch.Tensor may live anywhere) are asked at each call.
_runners: dict[type, Any] = {}


def run(x: Any, request: Request, out: Any) -> Any:
    """Pool `x` on the backend that its type belongs to."""
    runner = _runners.get(type(x))
    if runner is None:
        runner = _find(x)
    return runner(x, request, out)


def run_many(arrays: tuple[Any, ...], job: Job, out: Any) -> Any:
    """Compute a job on the backend that all its arrays belong to."""
    runners = [_runners.get(type(a)) or _find(a) for a in arrays]
    runner = runners[0]
    for name, a, other in zip(job.operands, arrays, runners, strict=True):
        if other is runner or (job.host and a is arrays[-1] and type(a) is np.ndarray):
            continue
        if {runner.__name__, other.__name__} != HOST_RUNNERS:
            kinds = f"{type(arrays[0]).__name__} and {type(a).__name__}"
            error = f"{job.operands[0]} and {name} must be arrays of one library on one device, got {kinds}"
            raise TypeError(f"{job.request.name}: {error}")
        runner = other if other.__name__ == "run_array_like" else runner
    module = runner.__module__.rpartition(".")[2]
    return _load(f"{module}_many", f"{runner.__name__}_many")(arrays, job, out)


def _load(name: str, runner: str) -> Any:
    return getattr(importlib.import_module(f"gpupool.backends.{name}"), runner)


def _remember(x: Any, runner: Any) -> Any:
    _runners[type(x)] = runner
    return runner


def is_simulated(x: Any) -> bool:
    """Whether this is an array of Numba's CUDA simulator, which has no `__cuda_array_interface__`."""
    return any(SIMULATED in c.__module__ and "Array" in c.__name__ for c in type(x).__mro__)


def _find(x: Any) -> Any:
    """The function that pools arrays like this one; a TypeError where there is none."""
    if type(x) is np.ndarray:
        return _remember(x, _load("cpu", "run"))
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError("x must not be a masked array: fill it first, for example x.filled(value)")
    if is_simulated(x):
        return _remember(x, _load("cuda", "run"))
    if hasattr(x, "__cuda_array_interface__"):
        runner = _load("cuda", "run")
        return _remember(x, runner) if type(x).__module__.partition(".")[0] in ALWAYS_CUDA else runner
    if hasattr(x, "__dlpack_device__") and not isinstance(x, (np.ndarray, np.generic)):
        device = int(x.__dlpack_device__()[0])
        if device in (DLPACK_CUDA, DLPACK_CUDA_MANAGED):
            return _load("cuda", "run")
        if device == DLPACK_CPU:
            return _load("cpu", "run_dlpack")
        raise TypeError(f"x lives on DLPack device type {device}; supported are CPU (1) and CUDA (2)")
    return _load("cpu", "run_array_like")
