"""DLPack on CUDA through ctypes: reading a library's capsule, and offering memory of our own to a library.

The structures are those of dlpack.h, version 0 (DLManagedTensor), which every library reads and writes.
"""

from __future__ import annotations

import atexit
import ctypes
import math
import sys
from collections import deque
from typing import Any

import numpy as np

from gpupool.backends import cuda_launch

CUDA, MANAGED = 2, 13
NOT_READY = 600  # the driver's answer to whether an event has passed
KINDS = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}  # complex: refused by its name


class Tensor(ctypes.Structure):
    """DLTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class Managed(ctypes.Structure):
    """DLManagedTensor."""

    _fields_ = (("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


_api = ctypes.pythonapi
_get = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", _api))
_new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(("PyCapsule_New", _api))


def from_capsule(capsule: Any) -> tuple:
    """Shape, strides in bytes, dtype, address, device, read-only flag and the capsule, which keeps the memory alive."""
    tensor = Managed.from_address(_get(capsule, b"dltensor")).tensor
    if tensor.device_type not in (CUDA, MANAGED):
        raise TypeError(f"x lives on DLPack device type {tensor.device_type}; expected CUDA ({CUDA})")
    kind = KINDS.get(tensor.code)
    if kind is None or tensor.lanes != 1:
        raise TypeError(f"x has DLPack type code {tensor.code} with {tensor.lanes} lane(s), which cannot be pooled")
    from gpupool.backends.cuda_arrays import contiguous, extended_dtype

    dtype = extended_dtype("bool" if kind == "bool" else f"{kind}{tensor.bits}")
    shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
    if tensor.strides:
        strides = tuple(tensor.strides[i] * dtype.itemsize for i in range(tensor.ndim))
    else:
        strides = contiguous(shape, dtype.itemsize)
    return shape, strides, dtype, (tensor.data or 0) + tensor.byte_offset, tensor.device_id, False, capsule


class Owned:
    """A C-contiguous array in the driver's memory pool that a library takes over by DLPack."""

    _alive: dict[int, tuple] = {}  # noqa: RUF012 (what the libraries still hold, by the address of its structure)

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, device: int) -> None:
        self.shape, self.dtype, self.device = shape, dtype, device
        self.taken = False
        cu = cuda_launch.driver()
        size = max(math.prod(shape) * dtype.itemsize, 1)
        self.address = int(cuda_launch.check(cu.cuMemAllocAsync(size, 0)))

    def __dlpack_device__(self) -> tuple[int, int]:
        """CUDA and the device's number."""
        return CUDA, self.device

    def __dlpack__(self, *, stream: int | None = None, **_: Any) -> Any:
        """Hand the memory over; the taker's stream waits for the kernel that writes it."""
        cu = cuda_launch.driver()
        # 1 is the legacy default stream, on which the kernel runs; -1 and None ask for no waiting.
        if stream not in (None, -1, 0, 1):
            event = cuda_launch.check(cu.cuEventCreate(int(cu.CUevent_flags.CU_EVENT_DISABLE_TIMING)))
            cuda_launch.check(cu.cuEventRecord(event, 0))
            cuda_launch.check(cu.cuStreamWaitEvent(stream, event, 0))
            cuda_launch.check(cu.cuEventDestroy(event))
        managed = Managed()
        dims = (ctypes.c_int64 * max(len(self.shape), 1))(*self.shape)
        t = managed.tensor
        t.data, t.device_type, t.device_id, t.ndim = self.address, CUDA, self.device, len(self.shape)
        t.code, t.bits, t.lanes = type_code(self.dtype), self.dtype.itemsize * 8, 1
        t.shape = ctypes.cast(dims, ctypes.POINTER(ctypes.c_int64))
        managed.deleter = ctypes.cast(_release, ctypes.c_void_p).value
        self._alive[ctypes.addressof(managed)] = (managed, dims, self.address, self.device)
        self.taken = True
        return _new(ctypes.addressof(managed), b"dltensor", None)

    def __del__(self) -> None:
        if not self.taken and hasattr(self, "address"):
            free(self.address, self.device)


def type_code(dtype: np.dtype) -> int:
    """DLPack's code of a dtype's kind."""
    return 4 if dtype.name == "bfloat16" else {"i": 0, "u": 1, "f": 2, "b": 6}[dtype.kind]


def free(address: int, device: int) -> None:
    """Give memory back to the driver's pool, once what runs on the legacy stream is done."""
    if sys is None or sys.is_finalizing():  # the driver takes everything back when the process ends
        return
    with cuda_launch.on_device(device):
        cuda_launch.driver().cuMemFreeAsync(address, 0)


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def _release(structure: int) -> None:
    """The deleter that the taking library calls."""
    if sys is None or sys.is_finalizing():
        return
    _, _, address, device = Owned._alive.pop(structure)
    free(address, device)


# Libraries hold its bare address, until after this module is gone.
_api.Py_IncRef(ctypes.py_object(_release))

_reading: deque[tuple[Any, Any]] = deque()  # (event behind a kernel, what that reads), the oldest first


def keep_until_done(memories: list[Any]) -> None:
    """Keep what kernels on the legacy stream read until they are done, as seen by a later call: nothing waits here.

    A library that only lent its memory may reuse it as soon as it is let go, on streams that know nothing of ours.
    """
    let_go()
    cu = cuda_launch.driver()
    event = cuda_launch.check(cu.cuEventCreate(int(cu.CUevent_flags.CU_EVENT_DISABLE_TIMING)))
    cuda_launch.check(cu.cuEventRecord(event, 0))
    _reading.append((event, memories))


def let_go(*, wait: bool = False) -> None:
    """Give back what finished kernels read; with `wait`, what all of them read."""
    while _reading:
        try:
            event, memories = _reading.popleft()
        except IndexError:  # another thread took the last one
            return
        cu = cuda_launch.driver()
        (code,) = (cu.cuEventSynchronize if wait else cu.cuEventQuery)(event)
        if code == NOT_READY:
            _reading.appendleft((event, memories))
            return
        cu.cuEventDestroy(event)


atexit.register(let_go, wait=True)
