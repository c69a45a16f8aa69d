"""ONNX's pooling operators by gpupool's functions: attributes become arguments. Needs no onnx package.

Inputs are arrays of shape (N, C, D1[, D2[, D3]]) of any library that gpupool pools, and so are the results.
The rules are those of opset 22, which give earlier opsets' results, too.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import gpupool.functional as functional

from .attributes import flag_attribute, int_attribute, padding_attribute, proto_value, spatial_axes, window_arguments
from .request import ints

WINDOW = ("kernel_shape", "auto_pad", "ceil_mode", "dilations", "pads", "strides")


class Operator(NamedTuple):
    """What ONNX says of an operator's inputs, attributes and outputs."""

    function: Callable[..., Any]
    inputs: tuple[int, int]  # at least, at most
    attributes: tuple[str, ...]
    outputs: int  # at most


def _function(name: str, spatial: int) -> Callable[..., Any]:
    return getattr(functional, f"{name}{spatial}d")


def average_pool(
    x: Any,
    *,
    kernel_shape: Any,
    auto_pad: Any = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Any = None,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    """ONNX AveragePool.

    Parameters
    ----------
    x : array of shape (N, C, D1[, D2[, D3]])
    kernel_shape : ints
        Taps of the window along each D.
    auto_pad : "NOTSET", "VALID", "SAME_UPPER" or "SAME_LOWER"
        How to pad, where `pads` does not say it.
    ceil_mode, count_include_pad : 0 or 1
        As for `avg_pool2d`.
    dilations, strides : ints, optional
        One per D; default: 1.
    pads : ints, optional
        Those before each D, then those after each D; default: 0.

    Returns
    -------
    array of x's library, shape (N, C, oD1[, oD2[, oD3]])

    Raises
    ------
    ValueError, TypeError
        For attributes that do not fit x, with the attribute's name, the value and what is allowed.

    Notes
    -----
    https://onnx.ai/onnx/operators/onnx__AveragePool.html

    Examples
    --------
    >>> import numpy as np, gpupool.onnx
    >>> gpupool.onnx.average_pool(np.array([[[1.0, 2.0, 4.0]]]), kernel_shape=[2])
    array([[[1.5, 3. ]]])
    """
    spatial = spatial_axes("AveragePool", x)
    padding = padding_attribute("AveragePool", spatial, auto_pad, pads)
    arguments = window_arguments("AveragePool", spatial, kernel_shape, strides, dilations, padding, ceil_mode)
    include = flag_attribute("AveragePool", "count_include_pad", count_include_pad)
    return _function("avg_pool", spatial)(x, **arguments, count_include_pad=include)


def max_pool(
    x: Any,
    *,
    kernel_shape: Any,
    auto_pad: Any = "NOTSET",
    ceil_mode: int = 0,
    dilations: Any = None,
    pads: Any = None,
    storage_order: int = 0,
    strides: Any = None,
    indices: bool = False,
) -> Any:
    """ONNX MaxPool.

    Parameters
    ----------
    x, kernel_shape, auto_pad, ceil_mode, dilations, pads, strides
        As for `average_pool`.
    storage_order : 0 or 1
        Whether Indices count the elements of a plane row by row (0) or column by column (1).
    indices : bool
        Whether the output Indices is wanted. It needs a library with arithmetic: NumPy, CuPy, PyTorch or JAX.

    Returns
    -------
    array, or the pair (Y, Indices)
        Indices are int64, flat within the whole of x (unlike `max_pool2d`'s, which are flat within a plane).

    Raises
    ------
    ValueError, TypeError
        As for `average_pool`.

    Notes
    -----
    https://onnx.ai/onnx/operators/onnx__MaxPool.html

    Examples
    --------
    >>> import numpy as np, gpupool.onnx
    >>> x = np.array([[[1, 2, 4]], [[7, 6, 5]]])
    >>> gpupool.onnx.max_pool(x, kernel_shape=[2], indices=True)[1]
    array([[[1, 2]],
    <BLANKLINE>
           [[3, 4]]])
    """
    spatial = spatial_axes("MaxPool", x)
    padding = padding_attribute("MaxPool", spatial, auto_pad, pads)
    arguments = window_arguments("MaxPool", spatial, kernel_shape, strides, dilations, padding, ceil_mode)
    columns = flag_attribute("MaxPool", "storage_order", storage_order)
    if not indices:
        return _function("max_pool", spatial)(x, **arguments)
    starts = plane_starts("MaxPool", x, x.shape[2:])
    y, where = _function("max_pool", spatial)(x, **arguments, return_indices=True)
    return y, (by_columns(where, x.shape[2:]) if columns else where) + starts


def by_columns(where: Any, sizes: tuple[int, ...]) -> Any:
    """Row-major positions in a plane of these sizes, as positions that count the first axis fastest."""
    total: Any = 0
    for i in range(len(sizes)):
        total = total + where // math.prod(sizes[i + 1 :]) % sizes[i] * math.prod(sizes[:i])
    return total


def library_of(op: str, like: Any) -> Any:
    """The module of an array's library, which has functions that make arrays."""
    root = type(like).__module__.partition(".")[0]
    if root not in ("numpy", "cupy", "torch", "jax", "jaxlib"):
        raise TypeError(f"{op}: indices need an array of NumPy, CuPy, PyTorch or JAX, got {type(like).__name__}")
    return importlib.import_module("jax.numpy" if root.startswith("jax") else root)


def plane_starts(op: str, like: Any, sizes: tuple[int, ...]) -> Any:
    """The flat position, in a whole (N, C, ...) tensor with these sizes, of each plane's first element; broadcasts."""
    library = library_of(op, like)
    options = {"device": like.device} if library.__name__ == "torch" else {}
    starts = library.arange(like.shape[0] * like.shape[1], dtype=library.int64, **options) * math.prod(sizes)
    return starts.reshape((*like.shape[:2], *(1,) * len(sizes)))


def lp_pool(
    x: Any,
    *,
    kernel_shape: Any,
    auto_pad: Any = "NOTSET",
    ceil_mode: int = 0,
    dilations: Any = None,
    p: int = 2,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    """ONNX LpPool: ``(sum |x|^p)^(1/p)`` of each window; `p` as `norm_type` of `lp_pool2d`, the rest as `average_pool`.

    >>> import numpy as np, gpupool.onnx
    >>> gpupool.onnx.lp_pool(np.array([[[3.0, -4.0, 3.0]]]), kernel_shape=[2])
    array([[[5., 5.]]])
    """
    spatial = spatial_axes("LpPool", x)
    padding = padding_attribute("LpPool", spatial, auto_pad, pads)
    arguments = window_arguments("LpPool", spatial, kernel_shape, strides, dilations, padding, ceil_mode)
    return _function("lp_pool", spatial)(x, p, **arguments)


def max_unpool(
    x: Any, indices: Any, output_shape: Any = None, *, kernel_shape: Any, pads: Any = None, strides: Any = None
) -> Any:
    """ONNX MaxUnpool: each element where MaxPool found it, and zero everywhere else.

    Parameters
    ----------
    x : array of shape (N, C, D1[, D2[, D3]])
        Of NumPy, CuPy, PyTorch or JAX.
    indices : int64 array of x's library and shape
        As `max_pool` gives them: flat within the whole of a tensor of the usual shape.
    output_shape : sequence of ints on the host, optional
        The result's shape; what lies beyond the usual one is zero.
    kernel_shape, pads, strides
        Those of the pooling, as for `average_pool`: the usual length is ``(n - 1) * stride - pads + kernel``.

    Returns
    -------
    array of x's library

    Raises
    ------
    ValueError, TypeError
        As for `average_pool` and `max_unpool2d`, and for an output_shape below the usual one.

    Notes
    -----
    https://onnx.ai/onnx/operators/onnx__MaxUnpool.html

    Examples
    --------
    >>> import numpy as np, gpupool.onnx
    >>> gpupool.onnx.max_unpool(np.array([[[5.0, 7.0]]]), np.array([[[1, 2]]]), kernel_shape=[2], strides=[2])
    array([[[0., 5., 7., 0.]]])
    """
    op, spatial = "MaxUnpool", spatial_axes("MaxUnpool", x)
    if kernel_shape is None:
        raise ValueError(f"{op}: kernel_shape must be {spatial} ints, got None")
    kernel = int_attribute(op, "kernel_shape", kernel_shape, spatial, 1)
    stride = int_attribute(op, "strides", strides, spatial, 1)
    both = int_attribute(op, "pads", pads, 2 * spatial, 0)
    total = tuple(a + b for a, b in zip(both[:spatial], both[spatial:], strict=True))
    usual = tuple((n - 1) * s - t + k for n, s, t, k in zip(x.shape[2:], stride, total, kernel, strict=True))
    room = _room(x, usual, output_shape)
    where = indices - plane_starts(op, indices, usual)
    # Only the sum of a kernel and its padding matters, and the padding is the same on both sides here.
    kernel = tuple(k + t % 2 for k, t in zip(kernel, total, strict=True))
    padding = tuple((t + 1) // 2 for t in total)
    y = _function("max_unpool", spatial)(x, where, kernel, stride, padding)
    if not any(room):
        return y
    library = library_of(op, x)
    if library.__name__ == "torch":
        return library.nn.functional.pad(y, [n for r in reversed(room) for n in (0, r)])
    return library.pad(y, [(0, 0), (0, 0), *((0, r) for r in room)])


def _room(x: Any, usual: tuple[int, ...], output_shape: Any) -> tuple[int, ...]:
    """How much longer than usual each axis of an unpooling's result is."""
    if output_shape is None:
        return (0,) * len(usual)
    if hasattr(output_shape, "__cuda_array_interface__"):
        raise TypeError("MaxUnpool: output_shape must be ints on the host, got an array on a device")
    wanted = ints("MaxUnpool: output_shape", np.asarray(output_shape).tolist())
    whole = (*x.shape[:2], *usual)
    if not isinstance(wanted, tuple) or len(wanted) != len(whole) or wanted[:2] != whole[:2]:
        raise ValueError(f"MaxUnpool: output_shape must be {len(whole)} ints from {whole} on, got {wanted}")
    if any(n < u for n, u in zip(wanted, whole, strict=True)):
        raise ValueError(f"MaxUnpool: output_shape must be at least the usual shape {whole}, got {wanted}")
    return tuple(n - u for n, u in zip(wanted[2:], usual, strict=True))


def global_lp_pool(x: Any, *, p: int = 2) -> Any:
    """ONNX GlobalLpPool: ``(sum |x|^p)^(1/p)`` of each plane, of shape (N, C, 1[, 1[, 1]]).

    >>> import numpy as np, gpupool.onnx
    >>> gpupool.onnx.global_lp_pool(np.array([[[3.0, -4.0]]]))
    array([[[5.]]])
    """
    return _function("global_lp_pool", spatial_axes("GlobalLpPool", x))(x, p)


def global_average_pool(x: Any) -> Any:
    """ONNX GlobalAveragePool: the mean of each plane, of shape (N, C, 1[, 1[, 1]]).

    >>> import numpy as np, gpupool.onnx
    >>> gpupool.onnx.global_average_pool(np.array([[[1.0, 2.0]]]))
    array([[[1.5]]])
    """
    return _function("global_avg_pool", spatial_axes("GlobalAveragePool", x))(x)


def global_max_pool(x: Any) -> Any:
    """ONNX GlobalMaxPool: the largest element of each plane, of shape (N, C, 1[, 1[, 1]]).

    >>> import numpy as np, gpupool.onnx
    >>> gpupool.onnx.global_max_pool(np.array([[[1.0, 2.0]]]))
    array([[[2.]]])
    """
    return _function("global_max_pool", spatial_axes("GlobalMaxPool", x))(x)


OPERATORS = {
    "AveragePool": Operator(average_pool, (1, 1), (*WINDOW, "count_include_pad"), 1),
    "GlobalAveragePool": Operator(global_average_pool, (1, 1), (), 1),
    "GlobalLpPool": Operator(global_lp_pool, (1, 1), ("p",), 1),
    "GlobalMaxPool": Operator(global_max_pool, (1, 1), (), 1),
    "LpPool": Operator(lp_pool, (1, 1), (*WINDOW, "p"), 1),
    "MaxPool": Operator(max_pool, (1, 1), (*WINDOW, "storage_order"), 2),
    "MaxUnpool": Operator(max_unpool, (2, 3), ("kernel_shape", "pads", "strides"), 1),
}


def run_node(node: Any, inputs: Sequence[Any], attributes: dict[str, Any] | None = None, outputs: int = 1) -> tuple:
    """Compute one node of an ONNX graph.

    Parameters
    ----------
    node : str or NodeProto
        The operator's name, or a node, which has attributes and a number of outputs of its own.
    inputs : sequence of arrays
        The node's inputs, in order; optional ones may be None or left out.
    attributes : dict, optional
        The attributes by name, as ints, lists of ints and strings (or bytes).
    outputs : int
        How many outputs are wanted, where `node` is a name: 2 for MaxPool with Indices.

    Returns
    -------
    tuple of arrays
        The outputs, in order.

    Raises
    ------
    ValueError, TypeError
        For an operator that is none of `OPERATORS`, an unknown attribute, a wrong number of inputs or outputs, and as
        the operator's own function.

    Examples
    --------
    >>> import numpy as np, gpupool.onnx
    >>> gpupool.onnx.run_node("MaxPool", [np.array([[[1, 2, 4]]])], {"kernel_shape": [2]})
    (array([[[2, 4]]]),)
    """
    if isinstance(node, str):
        name, found = node, dict(attributes or {})
    else:
        name, outputs = node.op_type, len(node.output)
        found = {a.name: proto_value(name, a) for a in node.attribute} | (attributes or {})
    if name not in OPERATORS:
        raise ValueError(f"node must be one of {tuple(OPERATORS)}, got {name!r}")
    op = OPERATORS[name]
    unknown = sorted(set(found) - set(op.attributes))
    if unknown:
        raise ValueError(f"{name}: unknown attribute(s) {unknown}; allowed are {op.attributes}")
    if "kernel_shape" in op.attributes and "kernel_shape" not in found:
        raise ValueError(f"{name}: the attribute kernel_shape is missing")
    given = list(inputs)
    while given and given[-1] is None:
        given.pop()
    if not op.inputs[0] <= len(given) <= op.inputs[1]:
        raise ValueError(f"{name}: expected {op.inputs[0]} to {op.inputs[1]} inputs, got {len(given)}")
    if not 1 <= outputs <= op.outputs:
        raise ValueError(f"{name}: expected 1 to {op.outputs} outputs, got {outputs}")
    if outputs == 2:
        return op.function(*given, indices=True, **found)
    return (op.function(*given, **found),)
