"""Array libraries on the GPU: where an array's memory lies, which stream is the caller's, how a result is allocated.

Libraries are recognised by their types' modules; nothing is imported that the user has not imported.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gpupool.backends import cuda_launch
from gpupool.backends.cuda_dlpack import Owned, from_capsule, keep_until_done
from gpupool.dtypes import is_real


class View(NamedTuple):
    """An array as memory: shape, strides in bytes, address of element (0, ..., 0), and the device (None if empty)."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype
    address: int
    device: int | None
    readonly: bool = False
    memory: Any = None  # what keeps the memory alive; the simulator's NumPy array


def contiguous(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Strides in bytes of a C-contiguous array."""
    strides, step = [], itemsize
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def extended_dtype(name: str) -> np.dtype:
    """A NumPy dtype by name, bfloat16 included where ml_dtypes is installed."""
    if name == "bfloat16":
        try:
            import ml_dtypes
        except ImportError:
            raise TypeError("bfloat16 arrays need the package ml_dtypes: pip install ml_dtypes") from None
        return np.dtype(ml_dtypes.bfloat16)
    try:
        return np.dtype(name)
    except TypeError:
        raise TypeError(f"x has dtype {name}, which cannot be pooled") from None


class Library:
    """Anything with `__cuda_array_interface__`; results are Numba device arrays."""

    mutable = True

    def key(self, x: Any) -> tuple[tuple, int]:
        """Everything about an array but its address, hashable, and its address."""
        view = self.view(x)
        return (view.shape, view.strides, view.dtype, view.device, view.readonly), view.address

    def view(self, x: Any) -> View:
        """The array as memory."""
        about = x.__cuda_array_interface__
        if about.get("mask") is not None:
            raise TypeError("x must not have a mask in its __cuda_array_interface__: fill the masked elements first")
        dtype, shape = np.dtype(about["typestr"]), tuple(about["shape"])
        address, readonly = about["data"]
        strides = about.get("strides") or contiguous(shape, dtype.itemsize)
        # What cannot be pooled is refused by its dtype, whether there is a driver to ask for its device or none.
        device = None if 0 in shape or not is_real(dtype) else cuda_launch.device_of(address)
        return View(shape, tuple(strides), dtype, address or 0, device, readonly)

    def stream(self, x: Any) -> int:
        """The stream on which the array's producer works; the legacy default stream where it names none."""
        return x.__cuda_array_interface__.get("stream") or 0

    def bound(self, x: Any) -> Any:
        """The stream that x names as its producer's, as Numba's arrays name theirs: the result's, too."""
        from numba import cuda

        stream = x.__cuda_array_interface__.get("stream")
        return cuda.external_stream(stream) if stream else 0

    def empty(self, x: Any, shape: tuple[int, ...], order: tuple[int, ...], dtype: np.dtype) -> Any:
        """A new array on the current device whose axes lie in memory in this order, slowest first."""
        from numba import cuda

        strides = permuted_strides(shape, order, dtype.itemsize)
        return cuda.device_array(shape, dtype, strides=strides, stream=self.bound(x))

    def address(self, array: Any) -> int:
        """Where an array that `empty` made lies."""
        return self.view(array).address

    def result(self, array: Any) -> Any:
        """What the caller gets for an array that `empty` made."""
        return array

    def started(self, views: Sequence[View]) -> None:
        """Kernels that read these arrays are on their stream. Most libraries reuse memory in the order of streams."""


def permuted_strides(shape: tuple[int, ...], order: tuple[int, ...], unit: int) -> tuple[int, ...]:
    """Strides of a dense array whose axes lie in this order, slowest first."""
    strides = [0] * len(shape)
    for axis in reversed(order):
        strides[axis] = unit
        unit *= max(shape[axis], 1)
    return tuple(strides)


class Cupy(Library):
    """CuPy: memory from its pool, its current stream."""

    def __init__(self) -> None:
        self.cupy = sys.modules["cupy"]
        self.current_stream = self.cupy.cuda.get_current_stream

    def key(self, x: Any) -> tuple[tuple, int]:
        """As for any library, without the detour through a View: this is half of what a call costs."""
        data = x.data
        return (x.shape, x.strides, x.dtype, data.device_id, False), data.ptr

    def view(self, x: Any) -> View:
        """The array as memory, by CuPy's own attributes: `__cuda_array_interface__` takes 10 times as long."""
        data = x.data
        return View(x.shape, x.strides, x.dtype, data.ptr, data.device_id)

    def stream(self, _x: Any) -> int:
        """The current stream of this thread."""
        return self.current_stream().ptr

    def empty(self, _x: Any, shape: tuple[int, ...], order: tuple[int, ...], dtype: np.dtype) -> Any:
        """From CuPy's pool."""
        if order == tuple(range(len(order))):
            return self.cupy.empty(shape, dtype)
        dense = self.cupy.empty(tuple(shape[a] for a in order), dtype)
        return dense.transpose(tuple(order.index(a) for a in range(len(order))))

    def address(self, array: Any) -> int:
        """Where an array that `empty` made lies."""
        return array.data.ptr


class Torch(Library):
    """PyTorch CUDA tensors: its caching allocator, its current stream."""

    def __init__(self) -> None:
        self.torch = sys.modules["torch"]

    @functools.cache  # noqa: B019 (one instance, a handful of dtypes)
    def numpy_dtype(self, dtype: Any) -> np.dtype:
        """The NumPy dtype of a torch dtype."""
        return extended_dtype(str(dtype).rpartition(".")[2])

    def view(self, x: Any) -> View:
        """The tensor as memory."""
        if x.requires_grad and self.torch.is_grad_enabled():
            raise TypeError("x requires grad, and gpupool computes no gradients: use x.detach() or torch.no_grad()")
        if x.layout != self.torch.strided:
            raise TypeError(f"x must be a dense tensor, got layout {x.layout}")
        if x.is_neg():
            raise TypeError("x must not be a view that is negated when it is read: use x.resolve_neg()")
        dtype = self.numpy_dtype(x.dtype)
        strides = tuple([s * dtype.itemsize for s in x.stride()])
        return View(tuple(x.shape), strides, dtype, x.data_ptr(), x.device.index)

    def stream(self, x: Any) -> int:
        """The current stream of the tensor's device."""
        return self.torch.cuda.current_stream(x.device).cuda_stream

    def empty(self, x: Any, shape: tuple[int, ...], order: tuple[int, ...], dtype: np.dtype) -> Any:
        """From PyTorch's allocator."""
        strides = permuted_strides(shape, order, 1)
        return self.torch.empty_strided(shape, strides, dtype=getattr(self.torch, dtype.name), device=x.device)


class Numba(Library):
    """Numba device arrays."""

    def view(self, x: Any) -> View:
        """The array as memory."""
        device = None if x.size == 0 else cuda_launch.device_of(x.device_ctypes_pointer.value)
        return View(x.shape, x.strides, x.dtype, x.device_ctypes_pointer.value or 0, device)

    def bound(self, x: Any) -> Any:
        """The stream to which x is bound."""
        return x.stream


class Dlpack(Library):
    """JAX and whatever else exchanges arrays by DLPack only: its memory is ours until the kernels are done."""

    mutable = False

    def __init__(self, kind: type) -> None:
        namespace = sys.modules[kind.__module__.partition(".")[0].replace("jaxlib", "jax")]
        found = getattr(namespace, "from_dlpack", None)
        self.from_dlpack = found or importlib.import_module(f"{namespace.__name__}.dlpack").from_dlpack

    def view(self, x: Any) -> View:
        """The array as memory, ready on the legacy default stream."""
        return View(*from_capsule(x.__dlpack__(stream=1)))

    def stream(self, _x: Any) -> int:
        """The legacy default stream, on which the library was told to wait for x."""
        return 0

    def empty(self, x: Any, shape: tuple[int, ...], _order: tuple[int, ...], dtype: np.dtype) -> Any:
        """Memory of the driver's pool, in C order, as these libraries want it."""
        return Owned(shape, dtype, int(x.__dlpack_device__()[1]))

    def address(self, array: Any) -> int:
        """Where an array that `empty` made lies."""
        return array.address

    def result(self, array: Any) -> Any:
        """The library's own array over the same memory; it waits for our stream."""
        return self.from_dlpack(array)

    def started(self, views: Sequence[View]) -> None:
        """The library knows nothing of our stream: what a kernel reads there is kept until it is done."""
        keep_until_done([view.memory for view in views])


class Simulator(Library):
    """The arrays of Numba's CUDA simulator."""

    def view(self, x: Any) -> View:
        """The array as memory."""
        a = x._ary
        return View(a.shape, a.strides, a.dtype, a.__array_interface__["data"][0], 0, not a.flags.writeable, a)

    def stream(self, _x: Any) -> int:
        """There is only one."""
        return 0

    def empty(self, x: Any, shape: tuple[int, ...], order: tuple[int, ...], dtype: np.dtype) -> Any:
        """An array of the same type."""
        dense = np.empty(tuple(shape[a] for a in order), dtype)
        return type(x)(dense.transpose(tuple(order.index(a) for a in range(len(order)))))


_libraries: dict[type, Library] = {}


def library(x: Any) -> Library:
    """The library that an array belongs to."""
    kind = type(x)
    found = _libraries.get(kind)
    if found is None:
        found = _libraries[kind] = _recognised(kind, x)
    return found


def _recognised(kind: type, x: Any) -> Library:
    modules = [c.__module__ for c in kind.__mro__]

    def comes_from(name: str) -> bool:
        return any(m == name or m.startswith(name + ".") for m in modules)

    if comes_from("numba.cuda.simulator"):
        return Simulator()
    if comes_from("cupy") and hasattr(x, "data"):
        return Cupy()
    if comes_from("torch"):
        return Torch()
    if comes_from("numba.cuda") and hasattr(x, "device_ctypes_pointer"):
        return Numba()
    if comes_from("jaxlib") or comes_from("jax") or not hasattr(x, "__cuda_array_interface__"):
        return Dlpack(kind)
    return Library()
