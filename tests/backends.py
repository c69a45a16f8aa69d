"""The array libraries under test: how each makes an array with a given memory layout, and how its results come back."""

import importlib.util
import os

import layouts
import numpy as np


def address(a):
    """Where the first element of a NumPy array lies."""
    return a.__array_interface__["data"][0]


class Backend:
    """NumPy, and what the others have in common."""

    name = "numpy"
    immutable = False

    def from_numpy(self, a):
        """The library's own copy of a C-contiguous NumPy array."""
        return a.copy(order="C")

    def to_numpy(self, array):
        """Values on the host."""
        return np.asarray(array)

    def owns(self, array):
        """Whether an array is of this library."""
        return type(array) is np.ndarray

    def strides(self, array):
        """Strides in bytes, or None where the library has none."""
        return tuple(array.strides)

    def supports(self, dtype, layout="C"):
        """Whether the library can express this dtype and layout at all."""
        return True

    def place(self, layout):
        """(array, buffer) of a Layout."""
        buffer = self.from_numpy(layout.base)
        array = layout.view(buffer)
        if not layout.writeable:
            array.flags.writeable = False
        return array, buffer

    def array(self, a, layout="C"):
        """A NumPy array's values, in the library and the memory layout."""
        return self.place(layouts.build(a, layout))[0]

    def __repr__(self):
        return self.name


class FastEngines(Backend):
    """NumPy with the shortcut for small arrays off, so that tiny rows run through the engines for large arrays.

    Each pair of dtypes costs seconds of compilation there: one dtype of each accumulator.
    """

    name = "numpy-fast"

    def supports(self, dtype, layout="C"):
        return np.dtype(dtype).name in ("float32", "float16", "uint8")


class Simulator(Backend):
    """Numba's CUDA simulator."""

    name = "simulator"

    def __init__(self):
        from numba import cuda
        from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

        self.cuda, self.type = cuda, FakeCUDAArray

    def from_numpy(self, a):
        return self.cuda.to_device(a)

    def to_numpy(self, array):
        return array.copy_to_host()

    def owns(self, array):
        return type(array) is self.type

    def supports(self, dtype, layout="C"):
        return np.dtype(dtype).name != "bfloat16"  # the simulator has none

    def place(self, layout):
        buffer = self.from_numpy(layout.base)
        view = layout.view(buffer._ary)  # its own slicing drops 0-d results and cannot broadcast
        view.flags.writeable = layout.writeable
        return (buffer if view is buffer._ary else self.type(view)), buffer


class Cupy(Backend):
    """CuPy."""

    name = "cupy"

    def __init__(self):
        import cupy

        self.cupy = cupy

    def from_numpy(self, a):
        return self.cupy.asarray(a)

    def to_numpy(self, array):
        return self.cupy.asnumpy(array)

    def owns(self, array):
        return type(array) is self.cupy.ndarray

    def supports(self, dtype, layout="C"):
        return np.dtype(dtype).name != "bfloat16" and layout != "readonly"

    def place(self, layout):
        buffer = array = self.from_numpy(layout.base)
        for step, value in layout.steps:
            array = self.cupy.broadcast_to(array, value) if step == "broadcast" else layouts.STEPS[step](array, value)
        return array, buffer


class NumbaDevice(Backend):
    """Numba's own device arrays."""

    name = "numba"

    def __init__(self):
        from numba import cuda

        self.cuda, self.type = cuda, cuda.devicearray.DeviceNDArray

    def from_numpy(self, a):
        return self.cuda.to_device(a)

    def to_numpy(self, array):
        if array.size == 0 or min(array.strides, default=0) >= 0:
            return array.copy_to_host()
        # Its own copy refuses negative strides: the bytes from the lowest to the highest element, seen the same way.
        ends = [(n - 1) * s for n, s in zip(array.shape, array.strides, strict=True)]
        low, high = sum(e for e in ends if e < 0), sum(e for e in ends if e > 0)
        start = array.__cuda_array_interface__["data"][0] + low
        size = high - low + array.dtype.itemsize
        interface = {"shape": (size,), "typestr": "|u1", "data": (start, False), "version": 3}
        host = self.cuda.from_cuda_array_interface(interface, owner=array, sync=False).copy_to_host()
        return np.ndarray(array.shape, array.dtype, host, -low, array.strides)

    def owns(self, array):
        return type(array) is self.type

    def supports(self, dtype, layout="C"):
        return np.dtype(dtype).name != "bfloat16" and layout != "readonly"

    def place(self, layout):
        # Its own transpose copies and takes two axes at most: the view is described by pointer and strides instead.
        buffer = self.from_numpy(layout.base)
        view = layout.view()
        start = buffer.__cuda_array_interface__["data"][0] + address(view) - address(layout.base)
        interface = {
            "shape": view.shape,
            "strides": view.strides,
            "typestr": view.dtype.str,
            "data": (start, False),
            "version": 3,
        }
        return self.cuda.from_cuda_array_interface(interface, owner=buffer, sync=False), buffer


class Torch(Backend):
    """PyTorch CUDA tensors."""

    name = "torch"

    def __init__(self, device="cuda"):
        import torch

        self.torch, self.device = torch, device

    def from_numpy(self, a):
        if a.dtype.name == "bfloat16":
            return self.torch.from_numpy(a.view(np.int16).copy()).to(self.device).view(self.torch.bfloat16)
        return self.torch.from_numpy(a.copy(order="C")).to(self.device)

    def to_numpy(self, array):
        if array.dtype == self.torch.bfloat16:
            import ml_dtypes

            return array.contiguous().view(self.torch.int16).cpu().numpy().view(ml_dtypes.bfloat16)
        return array.cpu().numpy()

    def owns(self, array):
        return type(array) is self.torch.Tensor and array.device.type == self.device

    def strides(self, array):
        return tuple(s * array.element_size() for s in array.stride())

    def supports(self, dtype, layout="C"):
        return layout not in ("readonly", *layouts.NEGATIVE)

    def place(self, layout):
        steps = {
            "transpose": lambda t, v: t.permute(v),
            "index": lambda t, v: t[v],
            "broadcast": lambda t, v: t.expand(v),
        }
        buffer = array = self.from_numpy(layout.base)
        for step, value in layout.steps:
            array = steps[step](array, value)
        return array, buffer


class Jax(Backend):
    """JAX arrays: immutable and always contiguous."""

    name = "jax"
    immutable = True

    def __init__(self):
        import jax

        jax.config.update("jax_enable_x64", True)
        self.jax, self.device = jax, jax.devices("gpu")[0]

    def from_numpy(self, a):
        return self.jax.device_put(a, self.device)

    def owns(self, array):
        return isinstance(array, self.jax.Array)

    def strides(self, array):
        return None

    def supports(self, dtype, layout="C"):
        return layout == "C"


GPU = {"cupy": Cupy, "numba": NumbaDevice, "torch": Torch, "jax": Jax}


def simulated():
    """Whether this process runs Numba's CUDA simulator."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def gpu_backends(only=None):
    """(backends, {library: why it is not run}): every installed GPU library that sees a GPU, or the named one."""
    found, missing = [], {}
    for module, backend in GPU.items():
        if only not in (None, module):
            missing[module] = f"--library {only}"
            continue
        try:
            if importlib.util.find_spec(module) is None:
                missing[module] = "not installed"
                continue
            candidate = backend()
            candidate.from_numpy(np.zeros(1, np.float32))
            found.append(candidate)
        except Exception as error:  # each library has errors of its own for "no GPU"; all are reported
            missing[module] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return found, missing


def active(gpu=False, library=None):
    """(backends of this run, {what is not run: why})."""
    if simulated():
        return [Simulator()], {"numpy": "NUMBA_ENABLE_CUDASIM=1 runs the simulator only"}
    found, missing = gpu_backends(library) if gpu or library else ([], {"gpu": "needs --gpu"})
    if (gpu or library) and not found:
        raise RuntimeError(f"no library sees a GPU: {missing}")
    if library:
        return found, {"simulator": "needs NUMBA_ENABLE_CUDASIM=1", "numpy": f"--library {library}", **missing}
    return [Backend(), FastEngines(), *found], {"simulator": "needs NUMBA_ENABLE_CUDASIM=1", **missing}
