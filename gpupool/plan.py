"""Arguments and a shape become a Plan: frozen integers. Every error a user can make is raised here, before any array.

`Request` holds the arguments as given (already hashable, see `ints` and `flag`), `make_plan` checks them against a
shape and a dtype and resolves them per axis. The window arithmetic itself is in `gpupool.kernels.window`.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple, NoReturn

import numpy as np

from gpupool.kernels import window as rule
from gpupool.kernels.codecs import input_codec, output_codec
from gpupool.kernels.reducers import EXACT_PAIRS, OPERATORS

MAX_POOLED_AXES = 3
PADDING_WORDS = ("valid", "same", "same_lower")
DATA_FORMATS = ("channels_first", "channels_last")
LARGEST = 2**62  # kernels compute positions in int64


class Request(NamedTuple):
    """One call's arguments, hashable. `window=None` takes whole axes; `spatial` counts axes by `data_format`."""

    name: str
    op: str
    window: Any
    stride: Any = None
    padding: Any = 0
    dilation: Any = 1
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None
    dtype: Any = None
    indices: bool = False
    keepdims: bool = True
    spatial: int | None = None
    data_format: str = "channels_first"
    axes: Any = None


class PooledAxis(NamedTuple):
    """The resolved window of one axis of the input."""

    axis: int
    n: int
    out: int
    k: int
    s: int
    d: int
    before: int
    after: int


class Plan(NamedTuple):
    """What to compute, in integers: independent of strides, device and array library."""

    request: Request
    shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    dtype: np.dtype
    out_dtype: np.dtype
    pooled: tuple[PooledAxis, ...]

    @property
    def averages(self) -> bool:
        """Whether results depend on a divisor."""
        return self.request.op == "avg"

    @property
    def largest_window(self) -> int:
        """Elements in the largest window, or the divisor where one is given and larger."""
        taps = 1
        for a in self.pooled:
            taps *= min(a.k, a.n)
        return max(taps, abs(self.request.divisor_override or 0))


# -- arguments as given: cheap checks that make them hashable ----------------------------------------------------------


def ints(name: str, value: Any) -> Any:
    """An int, or nested tuples of ints, from ints, NumPy integers, lists and tuples; strings and None as they are."""
    if type(value) is int or value is None or type(value) is str:
        return value
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0):
        return tuple([ints(name, v) for v in value])
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an int or a sequence of ints, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int or a sequence of ints, got {value!r}") from None


def flag(name: str, value: Any) -> bool:
    """True or False, nothing that merely counts as one."""
    if value is True or value is False:
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    raise TypeError(f"{name} must be True or False, got {value!r}")


def window_ints(name: str, value: Any) -> Any:
    """`ints` of a window, which must be given."""
    if value is None:
        raise TypeError(f"{name} must be a positive int or a sequence of them, got None")
    return ints(name, value)


def hashable(name: str, value: Any, kind: str) -> Any:
    """The value itself, which later is one of few; a TypeError where it could be none of them."""
    try:
        hash(value)
    except TypeError:
        raise TypeError(f"{name} must be {kind}, got {value!r}") from None
    return value


# -- the parts of a plan -----------------------------------------------------------------------------------------------


def pooled_axes(request: Request, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that windows move along, in row-major order of the window."""
    ndim = len(shape)
    if request.spatial is not None:
        if request.data_format not in DATA_FORMATS:
            raise ValueError(f"data_format must be one of {DATA_FORMATS}, got {request.data_format!r}")
        last = request.data_format == "channels_last"
        need = request.spatial + last
        if ndim < need:
            raise ValueError(
                f"{request.name} needs an array of at least {need} dimension(s) with "
                f"data_format={request.data_format!r}, got shape {shape}"
            )
        return tuple(range(ndim - need, ndim - last))
    if request.axes is None:
        count = len(request.window) if isinstance(request.window, tuple) else ndim
        if count > ndim or count == 0:
            raise ValueError(f"window {request.window!r} does not fit an array of shape {shape}: {ndim} dimension(s)")
        return tuple(range(ndim - count, ndim))
    axes = request.axes if isinstance(request.axes, tuple) else (request.axes,)
    for a in axes:
        if not isinstance(a, int):
            raise TypeError(f"axes must be an int or a sequence of ints, got {request.axes!r}")
        if not -ndim <= a < ndim:
            raise ValueError(f"axes: axis {a} is out of range for shape {shape}; allowed are {-ndim} to {ndim - 1}")
    resolved = tuple(a % ndim for a in axes)
    if len(set(resolved)) != len(resolved) or not resolved:
        raise ValueError(f"axes must name different axes, at least one, got {request.axes!r}")
    return resolved


def per_axis(name: str, value: Any, axes: tuple[int, ...], least: int) -> tuple[int, ...]:
    """One int per pooled axis, each at least `least`."""
    word = "a positive int" if least else "a non-negative int"
    if isinstance(value, str) or value is None:
        raise TypeError(f"{name} must be {word} or a sequence of {len(axes)}, got {value!r}")
    values = value if isinstance(value, tuple) else (value,) * len(axes)
    if len(values) == 1:
        values = values * len(axes)
    if len(values) != len(axes):
        raise ValueError(f"{name} must be {word} or {len(axes)} of them, one per pooled axis, got {value!r}")
    for a, v in zip(axes, values, strict=True):
        if not isinstance(v, int):
            raise TypeError(f"{name} must be {word} for each axis, got {v!r} for axis {a}")
        if v < least:
            raise ValueError(f"{name} must be {word}, got {v} for axis {a}")
        if v > LARGEST:
            raise ValueError(f"{name} must be at most 2**62, got {v} for axis {a}")
    return values


def padding_pairs(request: Request, axes: tuple[int, ...], n: tuple, k: tuple, s: tuple, d: tuple) -> list:
    """(before, after) for each pooled axis."""
    padding = request.padding
    if isinstance(padding, str):
        if padding not in PADDING_WORDS:
            raise ValueError(f"padding must be ints, (before, after) pairs or one of {PADDING_WORDS}, got {padding!r}")
        if padding == "valid":
            return [(0, 0)] * len(axes)
        lower = padding == "same_lower"
        return [rule.same_padding(*one, lower) for one in zip(n, k, s, d, strict=True)]
    if isinstance(padding, tuple) and any(isinstance(p, tuple) for p in padding):
        if len(padding) != len(axes) or any(not isinstance(p, tuple) or len(p) != 2 for p in padding):
            raise ValueError(
                f"padding must be an int, {len(axes)} ints or {len(axes)} (before, after) pairs, got {padding!r}"
            )
        before = per_axis("padding", tuple(p[0] for p in padding), axes, 0)
        after = per_axis("padding", tuple(p[1] for p in padding), axes, 0)
        return list(zip(before, after, strict=True))
    return [(p, p) for p in per_axis("padding", padding, axes, 0)]


def resolve_axes(request: Request, shape: tuple[int, ...]) -> tuple[PooledAxis, ...]:
    """Window, stride, padding and dilation of every pooled axis, checked."""
    axes = pooled_axes(request, shape)
    n = tuple(shape[a] for a in axes)
    for a, size in zip(axes, n, strict=True):
        if size == 0:
            raise ValueError(f"axis {a} of x has no elements to pool: shape {shape}")
    word = "window" if request.spatial is None else "kernel_size"
    k = n if request.window is None else per_axis(word, request.window, axes, 1)
    s = k if request.stride is None else per_axis("stride", request.stride, axes, 1)
    d = per_axis("dilation", request.dilation, axes, 1)
    pairs = padding_pairs(request, axes, n, k, s, d)
    resolved = []
    for i, a in enumerate(axes):
        before, after = pairs[i]
        one = PooledAxis(a, n[i], 0, k[i], s[i], d[i], before, after)
        resolved.append(check_axis(one, word, request.ceil_mode))
    return tuple(sorted(resolved))  # row-major in x, however the caller named them


def check_axis(a: PooledAxis, word: str, ceil_mode: bool) -> PooledAxis:
    """The axis with its output length; a window that finds no real element is an error."""
    what = (
        f"axis {a.axis} of size {a.n} ({word}={a.k}, stride={a.s}, padding=({a.before}, {a.after}), dilation={a.d}"
        f"{', ceil_mode=True' if ceil_mode else ''})"
    )
    if rule.extent(a.k, a.d) + a.n + a.before + a.after + a.s > LARGEST:
        raise ValueError(f"{word}, stride, padding and dilation must span less than 2**62 positions: {what}")
    out = rule.output_length(a.n, a.before, a.after, a.k, a.s, a.d, ceil_mode)
    if out < 1:
        raise ValueError(
            f"{word} spans {rule.extent(a.k, a.d)} positions, more than the padded axis has "
            f"({a.n + a.before + a.after}): {what}"
        )
    empty = rule.empty_window(a.n, a.before, a.k, a.s, a.d, out)
    if empty >= 0:
        raise ValueError(f"padding leaves window {empty} without one real element: {what}")
    # With one window the stride is never used, with one tap neither is the dilation: equal calls get equal plans.
    return a._replace(out=out, s=a.s if out > 1 else 1, d=a.d if a.k > 1 else 1)


# -- dtypes ------------------------------------------------------------------------------------------------------------


def is_float(dtype: np.dtype) -> bool:
    """float16, bfloat16, float32 or float64."""
    return (dtype.kind == "f" and dtype.itemsize <= 8) or dtype.name == "bfloat16"


def is_real(dtype: np.dtype) -> bool:
    """A dtype that can be pooled."""
    return dtype.kind in "biu" or is_float(dtype)


def dtype_of(value: Any) -> np.dtype:
    """A NumPy dtype from anything that names one, other libraries' dtype objects included."""
    try:
        return np.dtype(value)
    except TypeError:
        pass
    try:
        return np.dtype(str(value).rpartition(".")[2])
    except TypeError:
        raise TypeError(f"dtype must be a real dtype, got {value!r}") from None


def result_dtype(request: Request, dtype: np.dtype) -> np.dtype:
    """The dtype of the result, or a TypeError that says what is allowed."""
    if not is_real(dtype):
        raise TypeError(
            f"x has dtype {dtype}, which cannot be pooled; allowed are bool, integers, float16, bfloat16, float32 "
            "and float64"
        )
    if request.op == "max":
        if request.dtype is not None:
            raise TypeError(f"dtype must be None for 'max', which keeps the input's, got {request.dtype!r}")
        return dtype
    if request.dtype is not None:
        wanted = dtype_of(request.dtype)
        if not is_real(wanted) or wanted.kind == "b":
            raise TypeError(f"dtype must be an integer or real floating dtype, got {wanted}")
        return wanted.newbyteorder("=")
    if is_float(dtype):
        return dtype
    return np.dtype("float32" if dtype.itemsize <= 2 else "float64")


# -- the plan ----------------------------------------------------------------------------------------------------------


def fail(request: Request, error: Exception) -> NoReturn:
    """Raise the error with the public function's name in front."""
    raise type(error)(f"{request.name}: {error}") from None


def check_operator(request: Request) -> None:
    """Errors that need no array: the operator and its divisor."""
    if request.op not in OPERATORS:
        raise ValueError(f"op must be one of {tuple(OPERATORS)}, got {request.op!r}")
    if request.divisor_override is not None:
        if not isinstance(request.divisor_override, int):
            raise TypeError(f"divisor_override must be a non-zero int or None, got {request.divisor_override!r}")
        if request.divisor_override == 0 or abs(request.divisor_override) >= 2**31:
            raise ValueError(
                f"divisor_override must be a non-zero int below 2**31 or None, got {request.divisor_override}"
            )


def make_plan(request: Request, shape: tuple[int, ...], dtype: np.dtype) -> Plan:
    """Check every argument against the array and resolve it; pure integers, no array touched."""
    try:
        check_operator(request)
        out_dtype = result_dtype(request, dtype)
        pooled = resolve_axes(request, shape)
        busy = [a for a in pooled if (a.k, a.s, a.out) != (1, 1, a.n)]
        if len(busy) > MAX_POOLED_AXES:
            raise ValueError(
                f"window may be larger than 1 along at most {MAX_POOLED_AXES} axes, got {len(busy)}: "
                f"axes {tuple(a.axis for a in busy)}"
            )
    except (TypeError, ValueError) as error:
        fail(request, error)
    # Indices are flat within all pooled axes, so those with a window of 1 stay; otherwise they are mere batch axes.
    kept = pooled if request.indices else tuple(busy)
    return Plan(request, shape, pooled_shape(shape, pooled, request.keepdims), dtype, out_dtype, kept)


def pooled_shape(shape: tuple[int, ...], pooled: tuple[PooledAxis, ...], keepdims: bool) -> tuple[int, ...]:
    """The shape with the pooled axes' lengths replaced, or left out."""
    lengths: list[int | None] = list(shape)
    for a in pooled:
        lengths[a.axis] = a.out if keepdims else None
    return tuple(n for n in lengths if n is not None)


def choose(plan: Plan, *, wide: bool) -> tuple[Any, Any, Any]:
    """The reducer and the codecs of input and output; `wide` says that float64 arithmetic is cheap on the target."""
    request = plan.request
    red = OPERATORS[request.op](plan.dtype, plan.out_dtype, plan.largest_window, request.indices, wide)
    y_codec = output_codec(plan.out_dtype, plan.averages, isinstance(red, EXACT_PAIRS))
    return red, input_codec(plan.dtype), y_codec


def check_outs(plan: Plan, out: Any, kind: Any) -> tuple[Any, ...]:
    """`out` as a tuple: one array, or the pair (values, indices); type, shape and dtype as they must be."""
    request = plan.request
    wanted = (plan.out_dtype, np.dtype(np.int64)) if request.indices else (plan.out_dtype,)
    outs: tuple[Any, ...] = out if request.indices else (out,)
    if request.indices and (not isinstance(out, tuple) or len(out) != 2):
        fail(
            request,
            TypeError(f"out must be a pair (values, indices) with return_indices=True, got {type(out).__name__}"),
        )
    for y, dtype in zip(outs, wanted, strict=True):
        if not isinstance(y, kind) or isinstance(y, np.ma.MaskedArray):
            fail(request, TypeError(f"out must be of the input's array type, got {type(y).__name__}"))
        if tuple(y.shape) != plan.out_shape:
            fail(request, ValueError(f"out must have shape {plan.out_shape}, got {tuple(y.shape)}"))
        if y.dtype != dtype:
            fail(request, TypeError(f"out must have dtype {dtype}, got {y.dtype}"))
    return outs
