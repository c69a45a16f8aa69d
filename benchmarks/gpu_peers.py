"""The GPU contenders. All work on the same device memory; everything but JAX on the timer's own stream."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from benchmarks import cudnn, peers
from benchmarks.cases import Case
from benchmarks.peers import Unsupported, from_torch, torch_view
from benchmarks.timing import Contender


def random_device_array(cupy: Any, shape: tuple[int, ...], dtype: str) -> Any:
    """Random data made on the device: normal for floats, random bits for integers."""
    if dtype.startswith("float"):
        return cupy.random.standard_normal(shape, dtype=np.float32).astype(dtype)
    words = -(-prod(shape) * np.dtype(dtype).itemsize // 4)
    return cupy.random.randint(0, 2**31 - 1, words, dtype=np.int32).view(dtype)[: prod(shape)].reshape(shape)


def on_host(cupy: Any, case: Case, result: Any) -> Any:
    """A result, or a pair of them, as NumPy arrays."""
    return tuple(map(cupy.asnumpy, result)) if case.indices else cupy.asnumpy(result)


def gpupool_cuda(cupy: Any, case: Case, xs: Sequence[Any]) -> Contender:
    """gpupool on CuPy arrays, with `out=`."""
    import gpupool

    function = getattr(gpupool, case.function)
    kwargs = case.kwargs
    shape = case.in_layout(case.out_shape)
    outs: list[Any] = [cupy.empty(shape, case.result_dtype) for _ in xs]
    if case.indices:
        outs = [(out, cupy.empty(shape, np.int64)) for out in outs]
    return Contender("gpupool", lambda i: function(xs[i], out=outs[i], **kwargs), lambda y: on_host(cupy, case, y))


def copies(cupy: Any, moved: int, sets: int, stream: Any) -> list[Contender]:
    """Device-to-device copies of half of these bytes, read and written: by the driver, and by a kernel.

    On an H200 the driver moves 4.2 TB/s up to some 50 MB and 2.7 TB/s above, a kernel with 16-byte accesses 4.2 TB/s.
    """
    words = max(1, moved // 32)
    pairs = [
        (random_device_array(cupy, (16 * words,), "uint8").view(np.complex128), cupy.empty(words, np.complex128))
        for _ in range(sets)
    ]
    identity = cupy.ElementwiseKernel("T x", "T y", "y = x", "copy")

    def driver(i: int) -> None:
        pairs[i][1].data.copy_from_device_async(pairs[i][0].data, 16 * words, stream)

    return [Contender("copy", driver), Contender("copy kernel", lambda i: identity(*pairs[i]))]


def torch_function(case: Case) -> Callable[[Any], Any]:
    """PyTorch's public function for a case, of one (N, C, *spatial) tensor."""
    import torch

    if case.out_dtype is not None:
        raise Unsupported(f"no {case.op} pooling of {case.dtype} to {case.out_dtype}")
    return peers.torch_function(torch, case)


def _torch_contender(
    case: Case, xs: Sequence[Any], stream: Any, name: str, function: Callable[[Any], Any]
) -> Contender:
    import torch

    external = torch.cuda.ExternalStream(stream.ptr)
    views = [torch_view(case, torch.as_tensor(x, device="cuda")) for x in xs]

    def call(i: int) -> Any:
        with torch.cuda.stream(external):
            return function(views[i])

    call(0)
    return Contender(name, call, lambda y: from_torch(case, y))


def torch_eager(cupy: Any, case: Case, xs: Sequence[Any], stream: Any) -> Contender:
    """PyTorch as called by a user, in the matching memory format."""
    del cupy
    import torch

    torch.set_grad_enabled(False)
    return _torch_contender(case, xs, stream, "torch", torch_function(case))


def torch_compile(cupy: Any, case: Case, xs: Sequence[Any], stream: Any) -> Contender:
    """The same function through torch.compile, with static shapes; compiled before anything is timed."""
    del cupy
    import torch

    torch.set_grad_enabled(False)
    # The limit on recompilations counts per code object, and every case's function has the same one.
    torch.compiler.reset()
    compiled = torch.compile(torch_function(case), dynamic=False, fullgraph=True)
    return _torch_contender(case, xs, stream, "torch.compile", compiled)


def cudnn_direct(cupy: Any, case: Case, xs: Sequence[Any], stream: Any) -> Contender:
    """cudnnPoolingForward through ctypes."""
    if case.indices or case.is_adaptive or case.kind not in ("max", "avg"):
        raise Unsupported(f"no {case.id.partition('-')[0]} pooling with these windows or indices")
    try:
        pooling = cudnn.Pooling(case, stream.ptr)
    except cudnn.CudnnError as error:
        raise Unsupported(str(error)) from error
    outs = [cupy.empty(case.in_layout(case.out_shape), case.result_dtype) for _ in xs]

    def call(i: int) -> Any:
        pooling.forward(xs[i].data.ptr, outs[i].data.ptr)
        return outs[i]

    return Contender("cudnn", call, cupy.asnumpy)


def jax_reduce_window(cupy: Any, case: Case, xs: Sequence[Any], stream: Any) -> Contender:
    """jax.jit of lax.reduce_window, halves summed in float32. JAX keeps its streams to itself: wall time."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax
    import jax.dlpack
    from jax import lax
    from jax import numpy as jnp

    if case.out_dtype is not None or (case.is_average and "int" in case.dtype):
        raise Unsupported(f"no {case.op} pooling of {case.dtype} to {case.result_dtype}")
    if case.indices or case.is_adaptive or case.kind not in ("max", "avg"):
        raise Unsupported("measured for maxima and averages only")
    first = case.layout == "channels_first"
    axes = tuple(range(2, case.dims + 2)) if first else tuple(range(1, case.dims + 1))

    def spread(values: Sequence[Any], other: Any) -> tuple[Any, ...]:
        return (other, other, *values) if first else (other, *values, other)

    windows, strides = spread(case.windows, 1), spread(case.strides, 1)
    pads = spread([(case.padding, case.padding)] * case.dims, (0, 0))

    def pool(x: Any) -> Any:
        if case.is_global:
            return (jnp.mean if case.is_average else jnp.max)(x, axes, keepdims=True)
        if not case.is_average:
            low = -np.inf if jnp.issubdtype(x.dtype, jnp.floating) else np.iinfo(x.dtype).min
            return lax.reduce_window(x, jnp.asarray(low, x.dtype), lax.max, windows, strides, pads)
        total = lax.reduce_window(x.astype(jnp.float32), jnp.float32(0), lax.add, windows, strides, pads)
        return (total / prod(case.windows)).astype(x.dtype)

    stream.synchronize()
    cupy.cuda.Device().synchronize()
    arrays = [jax.dlpack.from_dlpack(x) for x in xs]
    if next(iter(arrays[0].devices())).platform not in ("gpu", "cuda"):
        raise Unsupported("installed without CUDA support")
    compiled = jax.jit(pool)
    compiled(arrays[0]).block_until_ready()
    return Contender("jax", lambda i: compiled(arrays[i]), np.asarray, "wall")


GPU_PEERS: dict[str, Callable[[Any, Case, Sequence[Any], Any], Contender]] = {
    "torch": torch_eager,
    "torch.compile": torch_compile,
    "cudnn": cudnn_direct,
    "jax": jax_reduce_window,
}
