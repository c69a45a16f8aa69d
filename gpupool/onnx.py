"""ONNX's pooling operators by gpupool's functions: attributes become arguments. Needs no onnx package.

Inputs are arrays of shape (N, C, D1[, D2[, D3]]) of any library that gpupool pools, and so are the results.
The rules are those of opset 22, which give earlier opsets' results, too.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import functional
from .request import ints

AUTO_PADS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
SPATIAL = (1, 2, 3)
INT, STRING, INTS = 2, 3, 7  # types of an AttributeProto that pooling operators have
WINDOW = ("kernel_shape", "auto_pad", "ceil_mode", "dilations", "pads", "strides")


class Operator(NamedTuple):
    """What ONNX says of an operator's inputs, attributes and outputs."""

    function: Callable[..., Any]
    inputs: tuple[int, int]  # at least, at most
    attributes: tuple[str, ...]
    outputs: int  # at most


def _spatial(op: str, x: Any) -> int:
    """The number of pooled axes: all but N and C."""
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) - 2 not in SPATIAL:
        raise ValueError(f"{op}: X must be an array of shape (N, C, D1[, D2[, D3]]), got shape {shape}")
    return len(shape) - 2


def _function(name: str, spatial: int) -> Callable[..., Any]:
    return getattr(functional, f"{name}{spatial}d")


def _ints(op: str, name: str, value: Any, count: int, default: int) -> tuple[int, ...]:
    """An attribute of `count` ints."""
    values = (default,) * count if value is None else ints(f"{op}: {name}", value)
    if not isinstance(values, tuple) or len(values) != count or not all(isinstance(v, int) for v in values):
        raise ValueError(f"{op}: {name} must be {count} ints, got {value!r}")
    return values


def _flag(op: str, name: str, value: Any) -> bool:
    """An attribute that is 0 or 1."""
    if value not in (0, 1):
        raise ValueError(f"{op}: {name} must be 0 or 1, got {value!r}")
    return bool(value)


def _padding(op: str, spatial: int, auto_pad: Any, pads: Any) -> Any:
    """auto_pad and pads as `padding`."""
    word = auto_pad.decode() if isinstance(auto_pad, bytes) else auto_pad
    if word not in AUTO_PADS:
        raise ValueError(f"{op}: auto_pad must be one of {AUTO_PADS}, got {auto_pad!r}")
    both = _ints(op, "pads", pads, 2 * spatial, 0)
    if word == "NOTSET":
        return tuple(zip(both[:spatial], both[spatial:], strict=True))
    if any(both):
        raise ValueError(f"{op}: pads must not be given with auto_pad={word!r}, got {pads!r}")
    return {"VALID": "valid", "SAME_UPPER": "same", "SAME_LOWER": "same_lower"}[word]


def _window(
    op: str, spatial: int, kernel_shape: Any, strides: Any, dilations: Any, padding: Any, ceil_mode: Any
) -> dict[str, Any]:
    """The arguments that say where windows lie."""
    if kernel_shape is None:
        raise ValueError(f"{op}: kernel_shape must be {spatial} ints, got None")
    ceil = _flag(op, "ceil_mode", ceil_mode)
    return {
        "kernel_size": _ints(op, "kernel_shape", kernel_shape, spatial, 1),
        "stride": _ints(op, "strides", strides, spatial, 1),
        "dilation": _ints(op, "dilations", dilations, spatial, 1),
        "padding": padding,
        # auto_pad fixes the lengths: of VALID, both formulas of the specification are one.
        "ceil_mode": ceil and not isinstance(padding, str),
    }


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
    spatial = _spatial("AveragePool", x)
    padding = _padding("AveragePool", spatial, auto_pad, pads)
    arguments = _window("AveragePool", spatial, kernel_shape, strides, dilations, padding, ceil_mode)
    include = _flag("AveragePool", "count_include_pad", count_include_pad)
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
    spatial = _spatial("MaxPool", x)
    padding = _padding("MaxPool", spatial, auto_pad, pads)
    arguments = _window("MaxPool", spatial, kernel_shape, strides, dilations, padding, ceil_mode)
    columns = _flag("MaxPool", "storage_order", storage_order)
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


def plane_starts(op: str, like: Any, sizes: tuple[int, ...]) -> Any:
    """The flat position, in a whole (N, C, ...) tensor with these sizes, of each plane's first element; broadcasts."""
    root = type(like).__module__.partition(".")[0]
    if root not in ("numpy", "cupy", "torch", "jax", "jaxlib"):
        raise TypeError(f"{op}: indices need an array of NumPy, CuPy, PyTorch or JAX, got {type(like).__name__}")
    library: Any = importlib.import_module("jax.numpy" if root.startswith("jax") else root)
    options = {"device": like.device} if root == "torch" else {}
    starts = library.arange(like.shape[0] * like.shape[1], dtype=library.int64, **options) * math.prod(sizes)
    return starts.reshape((*like.shape[:2], *(1,) * len(sizes)))


def global_average_pool(x: Any) -> Any:
    """ONNX GlobalAveragePool: the mean of each plane, of shape (N, C, 1[, 1[, 1]]).

    >>> import numpy as np, gpupool.onnx
    >>> gpupool.onnx.global_average_pool(np.array([[[1.0, 2.0]]]))
    array([[[1.5]]])
    """
    return _function("global_avg_pool", _spatial("GlobalAveragePool", x))(x)


def global_max_pool(x: Any) -> Any:
    """ONNX GlobalMaxPool: the largest element of each plane, of shape (N, C, 1[, 1[, 1]]).

    >>> import numpy as np, gpupool.onnx
    >>> gpupool.onnx.global_max_pool(np.array([[[1.0, 2.0]]]))
    array([[[2.]]])
    """
    return _function("global_max_pool", _spatial("GlobalMaxPool", x))(x)


OPERATORS = {
    "AveragePool": Operator(average_pool, (1, 1), (*WINDOW, "count_include_pad"), 1),
    "GlobalAveragePool": Operator(global_average_pool, (1, 1), (), 1),
    "GlobalMaxPool": Operator(global_max_pool, (1, 1), (), 1),
    "MaxPool": Operator(max_pool, (1, 1), (*WINDOW, "storage_order"), 2),
}


def _value(op: str, attribute: Any) -> Any:
    """The value of an AttributeProto."""
    if attribute.type == INT:
        return attribute.i
    if attribute.type == INTS:
        return tuple(attribute.ints)
    if attribute.type == STRING:
        return attribute.s
    raise TypeError(f"{op}: attribute {attribute.name!r} must be an int, ints or a string, got type {attribute.type}")


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
        found = {a.name: _value(name, a) for a in node.attribute} | (attributes or {})
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
