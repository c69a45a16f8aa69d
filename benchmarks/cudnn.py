"""Pooling through cuDNN's own C interface, as a reference without a framework around it."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import Case

DATA_TYPES = {"float32": 0, "float64": 1, "float16": 2, "int8": 3, "uint8": 6, "bfloat16": 9}
MAX, AVERAGE_WITH_PADDING = 0, 1
PROPAGATE_NAN = 1


class CudnnError(RuntimeError):
    """cuDNN is absent or refuses."""


def _library_paths() -> list[str]:
    """Where cuDNN may be: NVIDIA's wheel (PyTorch and JAX bring it), then the system."""
    paths = []
    spec = importlib.util.find_spec("nvidia")
    for root in (spec.submodule_search_locations or []) if spec else []:
        paths += sorted(str(path) for path in Path(root).glob("cudnn/lib/libcudnn.so*"))
    system = ctypes.util.find_library("cudnn")
    return paths + ([system] if system else [])


def load() -> ctypes.CDLL:
    """The cuDNN library, or CudnnError."""
    for path in _library_paths():
        try:
            library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        if hasattr(library, "cudnnPoolingForward"):
            library.cudnnGetErrorString.restype = ctypes.c_char_p
            return library
    raise CudnnError("no libcudnn with cudnnPoolingForward found")


class Pooling:
    """One prepared pooling; `forward(x, y)` takes device pointers and runs on the stream given at construction."""

    def __init__(self, case: Case, stream: int) -> None:
        if case.dtype not in DATA_TYPES or case.out_dtype is not None or case.dtype != case.result_dtype:
            raise CudnnError(f"no pooling of {case.dtype} to {case.result_dtype}")
        self._lib = load()
        self._handle = ctypes.c_void_p()
        self._check(self._lib.cudnnCreate(ctypes.byref(self._handle)))
        self._check(self._lib.cudnnSetStream(self._handle, ctypes.c_void_p(stream)))
        self._pooling = self._pooling_descriptor(case)
        self._x = self._tensor_descriptor(case, case.shape)
        self._y = self._tensor_descriptor(case, case.out_shape)
        real = ctypes.c_double if case.dtype == "float64" else ctypes.c_float
        self._one, self._zero = real(1), real(0)

    def _check(self, status: int) -> None:
        if status:
            raise CudnnError(self._lib.cudnnGetErrorString(status).decode())

    def _pooling_descriptor(self, case: Case) -> ctypes.c_void_p:
        descriptor = ctypes.c_void_p()
        self._check(self._lib.cudnnCreatePoolingDescriptor(ctypes.byref(descriptor)))
        pads, windows, strides = [case.padding] * case.dims, list(case.windows), list(case.strides)
        if case.dims == 1:  # cuDNN pools 2 or 3 axes
            pads, windows, strides = [0, *pads], [1, *windows], [1, *strides]
        mode = AVERAGE_WITH_PADDING if case.is_average else MAX
        arrays = [_ints(values) for values in (windows, pads, strides)]
        self._check(self._lib.cudnnSetPoolingNdDescriptor(descriptor, mode, PROPAGATE_NAN, len(windows), *arrays))
        return descriptor

    def _tensor_descriptor(self, case: Case, shape: tuple[int, ...]) -> ctypes.c_void_p:
        descriptor = ctypes.c_void_p()
        self._check(self._lib.cudnnCreateTensorDescriptor(ctypes.byref(descriptor)))
        sizes, strides = list(shape), element_strides(case, shape)
        if case.dims == 1:
            sizes, strides = [*sizes[:2], 1, *sizes[2:]], [*strides[:2], sizes[2] * strides[2], *strides[2:]]
        kind = DATA_TYPES[case.dtype]
        self._check(self._lib.cudnnSetTensorNdDescriptor(descriptor, kind, len(sizes), _ints(sizes), _ints(strides)))
        return descriptor

    def forward(self, x: int, y: int) -> None:
        """Enqueue the pooling of the tensor at `x` into the tensor at `y`."""
        one, zero = ctypes.byref(self._one), ctypes.byref(self._zero)
        source, target = ctypes.c_void_p(x), ctypes.c_void_p(y)
        self._check(
            self._lib.cudnnPoolingForward(self._handle, self._pooling, one, self._x, source, zero, self._y, target)
        )


def element_strides(case: Case, shape: tuple[int, ...]) -> list[int]:
    """Strides in elements of (N, C, *spatial) over contiguous memory in the case's layout."""
    order = [*range(len(shape))] if case.layout == "channels_first" else [0, *range(2, len(shape)), 1]
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return strides


def _ints(values: Sequence[int]) -> Any:
    return (ctypes.c_int * len(values))(*values)
