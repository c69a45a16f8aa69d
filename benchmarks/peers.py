"""The CPU contenders. Each is prepared outside of the timed region: a view of the same memory, the same threads,
outputs allocated beforehand wherever the peer can write into them, and the fastest of its forms."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from benchmarks.cases import Case
from benchmarks.onnx_model import ELEMENT_TYPES, pooling_model
from benchmarks.timing import SMALL_BYTES, Contender, touched

Call = Callable[[int], Any]
# One trial of a form is enough where a call takes this long.
SLOW_SECONDS = 0.1


class Unsupported(Exception):
    """This peer cannot do this case; the message is the reason that the report gives."""


def fastest(forms: dict[str, Call], sets: int) -> tuple[str, Call]:
    """The form that wins a few short trials; a peer often has several (with an output, without)."""
    best = dict.fromkeys(forms, np.inf)
    for trial in range(5):
        for name, call in forms.items():
            if trial and best[name] > SLOW_SECONDS:
                continue
            start = time.perf_counter()
            call(trial % sets)
            best[name] = min(best[name], time.perf_counter() - start)
    winner = min(best, key=best.__getitem__)
    return winner, forms[winner]


def gpupool_cpu(case: Case, xs: Sequence[np.ndarray], threads: int) -> list[Contender]:
    """gpupool with `out=`, and as it is called most often, without."""
    import gpupool

    gpupool.set_num_threads(threads)
    function = getattr(gpupool, case.function)
    kwargs = case.kwargs
    shape = case.in_layout(case.out_shape)
    outs: list[Any] = [touched(shape, case.result_dtype) for _ in xs]
    if case.indices:
        outs = [(out, touched(shape, "int64")) for out in outs]
    return [
        Contender("gpupool", lambda i: function(xs[i], out=outs[i], **kwargs), lambda y: y),
        Contender("gpupool_alloc", lambda i: function(xs[i], **kwargs), lambda y: y),
    ]


def copy_cpu(moved: int, sets: int, threads: int) -> Contender:
    """NumPy copying half of the bytes that a case must move: reads and writes together are as many."""
    size = moved // 2
    pairs = [(np.frombuffer(_filled(size), np.uint8), touched((size,), "uint8")) for _ in range(sets)]
    cuts = np.linspace(0, size, threads + 1).astype(int)
    pool = ThreadPoolExecutor(max(1, threads - 1))

    def serial(i: int) -> None:
        source, target = pairs[i]
        np.copyto(target, source)

    def threaded(i: int) -> None:
        source, target = pairs[i]
        parts = [slice(a, b) for a, b in pairwise(cuts)]
        others = [pool.submit(np.copyto, target[part], source[part]) for part in parts[1:]]
        np.copyto(target[parts[0]], source[parts[0]])
        for other in others:
            other.result()

    forms: dict[str, Call] = {"serial": serial}
    if threads > 1 and moved >= SMALL_BYTES:
        forms["threads"] = threaded
    name, call = fastest(forms, sets)
    return Contender("copy", call, note=name)


def _filled(size: int) -> bytearray:
    """Random bytes, made from one block of 1 MiB: a copy does not look at them."""
    block = np.random.default_rng(0).bytes(1 << 20)
    return bytearray(block * (size // len(block)) + block[: size % len(block)])


# ---------------------------------------------------------------------------------------------------------- PyTorch


def torch_function(torch: Any, case: Case) -> Callable[[Any], Any]:
    """PyTorch's public function for a case, of one (N, C, *spatial) tensor; minima and sums as its users write them."""
    nn = torch.nn.functional
    axes, kind = tuple(range(2, case.dims + 2)), case.kind
    if case.is_global:
        reduce = {"avg": torch.mean, "max": torch.amax}[kind]
        return lambda x: reduce(x, axes, keepdim=True)
    if case.is_adaptive:
        public = getattr(nn, f"{case.op}_pool{case.dims}d")
        return lambda x: public(x, (case.window,) * case.dims)
    paddings = (case.padding,) * case.dims
    if kind == "lp":
        norm = getattr(nn, f"lp_pool{case.dims}d")
        return lambda x: norm(x, 2, case.windows, case.strides)
    public = getattr(nn, f"{'max' if kind == 'min' else 'avg' if kind == 'sum' else kind}_pool{case.dims}d")
    if kind == "min":
        return lambda x: -public(-x, case.windows, case.strides, paddings)
    if kind == "sum":
        return lambda x: public(x, case.windows, case.strides, paddings, divisor_override=1)
    if case.indices:
        return lambda x: public(x, case.windows, case.strides, paddings, return_indices=True)
    return lambda x: public(x, case.windows, case.strides, paddings)


def _torch_forms(torch: Any, case: Case, xs: Sequence[Any], outs: Sequence[Any]) -> dict[str, Call]:
    """PyTorch's public function, and the same operator writing into a preallocated output where there is one."""
    public, axes = torch_function(torch, case), tuple(range(2, case.dims + 2))
    if case.is_global:
        reduce, name = (torch.mean, "mean(out=)") if case.is_average else (torch.amax, "amax(out=)")
        return {name: lambda i: reduce(xs[i], axes, keepdim=True, out=outs[i])}
    arguments = (case.windows, case.strides, (case.padding,) * case.dims)
    forms: dict[str, Call] = {case.function: lambda i: public(xs[i])}
    raw = getattr(torch._C._nn, f"{case.op}_pool{case.dims}d" + ("_with_indices" if case.op == "max" else ""), None)
    if raw is None or case.op not in ("max", "avg") or case.bytes < SMALL_BYTES:
        return forms
    if case.op == "avg":
        forms["avg(out=)"] = lambda i: raw(xs[i], *arguments, out=outs[i])
        return forms
    indices = [torch.empty_like(out, dtype=torch.int64) for out in outs]
    both: Call = lambda i: raw(xs[i], *arguments, out=(outs[i], indices[i]))  # noqa: E731
    forms["max(out=)"] = both if case.indices else lambda i: both(i)[0]
    return forms


def torch_view(case: Case, tensor: Any) -> Any:
    """The tensor as (N, C, *spatial) without a copy: channels-last memory becomes PyTorch's channels_last format."""
    last = tensor.dim() - 1
    return tensor if case.layout == "channels_first" else tensor.permute(0, last, *range(1, last))


def from_torch(case: Case, tensor: Any) -> Any:
    """A (N, C, *spatial) tensor as a NumPy array in the case's layout, or a pair of them."""
    if isinstance(tensor, tuple):
        return tuple(from_torch(case, part) for part in tensor)
    if case.layout == "channels_last":
        tensor = tensor.permute(0, *range(2, tensor.dim()), 1)
    return tensor.cpu().numpy()


def torch_cpu(case: Case, xs: Sequence[np.ndarray], threads: int) -> Contender:
    """PyTorch on the same memory, in the matching memory format."""
    import torch

    if case.out_dtype is not None:
        raise Unsupported(f"no {case.op} pooling of {case.dtype} to {case.out_dtype}")
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    views = [torch_view(case, torch.from_numpy(x)) for x in xs]
    shape = case.in_layout(case.out_shape)
    outs = [torch_view(case, torch.from_numpy(touched(shape, case.result_dtype))) for _ in xs]
    name, call = fastest(_torch_forms(torch, case, views, outs), len(xs))
    return Contender("torch", call, lambda y: from_torch(case, y), name)


# ----------------------------------------------------------------------------------------------------- ONNX Runtime


def _onnx_node(case: Case) -> tuple[str, dict[str, int | Sequence[int]]]:
    """The node's operator and attributes."""
    if case.is_adaptive or case.kind in ("min", "sum"):
        raise Unsupported(f"no {case.op} pooling")
    if case.is_global:
        return ("GlobalAveragePool" if case.is_average else "GlobalMaxPool"), {}
    attributes: dict[str, int | Sequence[int]] = {
        "kernel_shape": case.windows,
        "strides": case.strides,
        "pads": (case.padding,) * (2 * case.dims),
    }
    if case.kind == "lp":
        return "LpPool", attributes | {"p": 2}
    if not case.is_average:
        return "MaxPool", attributes
    return "AveragePool", attributes | {"count_include_pad": 1}


def _onnx_session(ort: Any, case: Case, threads: int, level: str) -> Any:
    """A session of the one-node model at an optimization level."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    op_type, attributes = _onnx_node(case)
    model = pooling_model(op_type, case.dtype, case.shape, case.out_shape, attributes, indices=case.indices)
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises classes of its own that share no public base
        raise Unsupported(f"no {op_type} of {case.dtype}: {str(error).splitlines()[0][:90]}") from error


def onnxruntime_cpu(case: Case, xs: Sequence[np.ndarray], threads: int) -> Contender:
    """A one-node model, input and output bound beforehand to memory that stays (no copy, no allocation).

    The default level rewrites a pool to a blocked layout, with a reorder before and after: that doubles the time of a
    model of one node (2.0 -> 3.5 ms for 5x5 on 16x256x20x20, one thread with AVX2), so both levels are tried.
    """
    import onnxruntime as ort

    if case.layout == "channels_last":
        raise Unsupported("pools channels-first tensors only")
    if case.out_dtype is not None or case.dtype not in ELEMENT_TYPES:
        raise Unsupported(f"no {case.op} pooling of {case.dtype} to {case.result_dtype}")
    outs = [touched(case.out_shape, case.result_dtype) for _ in xs]
    wheres = [touched(case.out_shape if case.indices else (0,), "int64") for _ in xs]
    plane = prod(case.shape[2:])  # indices are flat within the whole tensor
    values = [ort.OrtValue.ortvalue_from_numpy(x) for x in xs]

    def form(level: str) -> Call:
        session = _onnx_session(ort, case, threads, level)
        bindings = []
        for value, out, where in zip(values, outs, wheres, strict=True):
            binding = session.io_binding()
            binding.bind_ortvalue_input("x", value)
            binding.bind_output("y", "cpu", 0, out.dtype.type, out.shape, out.ctypes.data)
            if case.indices:
                binding.bind_output("indices", "cpu", 0, np.int64, where.shape, where.ctypes.data)
            bindings.append(binding)

        def call(i: int) -> Any:
            session.run_with_iobinding(bindings[i])
            return (outs[i], wheres[i]) if case.indices else outs[i]

        return call

    name, call = fastest({level: form(level) for level in ("ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")}, len(xs))
    return Contender("onnxruntime", call, lambda y: (y[0], y[1] % plane) if case.indices else y, name)


# ------------------------------------------------------------------------------------------------ image libraries


def _image_shape(case: Case) -> tuple[int, ...]:
    """(H, W) or (H, W, C) of a case that is one image with windows that tile it."""
    if case.indices or case.kind in ("lp", "sum"):
        raise Unsupported("maxima, minima and means only")
    if case.dims != 2 or case.is_global or case.is_adaptive or case.window != case.stride or case.padding:
        raise Unsupported("only windows that tile the image")
    if case.shape[0] != 1 or not (case.shape[1] == 1 or (case.layout == "channels_last" and case.shape[1] <= 4)):
        raise Unsupported("only single images of up to 4 interleaved channels")
    if any(n % case.window for n in case.shape[2:]):
        raise Unsupported("only sizes that the window divides")
    return case.shape[2:] if case.shape[1] == 1 else (*case.shape[2:], case.shape[1])


def opencv_cpu(case: Case, xs: Sequence[np.ndarray], threads: int) -> Contender:
    """cv2.resize with INTER_AREA: by a whole factor it is average pooling."""
    import cv2

    if case.op != "avg":
        raise Unsupported("its only down-sampling filter is the mean")
    shape = _image_shape(case)
    if case.dtype != case.result_dtype or case.dtype not in ("uint8", "uint16", "float32"):
        raise Unsupported(f"no resize of {case.dtype} to {case.result_dtype}")
    cv2.setNumThreads(threads)
    height, width = case.out_shape[2:]
    images = [x.reshape(shape) for x in xs]
    outs = [touched((height, width, *shape[2:]), case.dtype) for _ in xs]

    def call(i: int) -> Any:
        return cv2.resize(images[i], (width, height), dst=outs[i], interpolation=cv2.INTER_AREA)

    return Contender("opencv", call, lambda y: y.reshape(case.in_layout(case.out_shape)), "resize INTER_AREA")


def skimage_cpu(case: Case, xs: Sequence[np.ndarray], threads: int) -> Contender:
    """skimage.measure.block_reduce, which has neither threads nor an output argument."""
    del threads
    from skimage.measure import block_reduce

    shape = _image_shape(case)
    if case.is_average and "int" in case.dtype:
        raise Unsupported("integer means come out as float64")
    block = (case.window, case.window) + (1,) * (len(shape) - 2)
    reduce = {"avg": np.mean, "max": np.max, "min": np.min}[case.kind]
    images = [x.reshape(shape) for x in xs]
    out_shape = case.in_layout(case.out_shape)
    return Contender("skimage", lambda i: block_reduce(images[i], block, reduce), lambda y: y.reshape(out_shape))


PEERS: dict[str, Callable[[Case, Sequence[np.ndarray], int], Contender]] = {
    "torch": torch_cpu,
    "onnxruntime": onnxruntime_cpu,
    "opencv": opencv_cpu,
    "skimage": skimage_cpu,
}
