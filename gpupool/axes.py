"""Window, stride, padding and dilation of every pooled axis, resolved against a shape; the errors of each."""

from __future__ import annotations

from typing import Any, NamedTuple

from gpupool.kernels import window as rule

from .request import Request

PADDING_WORDS = ("valid", "same", "same_lower")
DATA_FORMATS = ("channels_first", "channels_last")
LARGEST = 2**62  # kernels compute positions in int64


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
    if request.output_size is not None:
        return adaptive_axes(request.output_size, axes, n)
    word = "window" if request.spatial is None else "kernel_size"
    k = n if request.window is None else per_axis(word, request.window, axes, 1)
    s = k if request.stride in (None, ()) else per_axis("stride", request.stride, axes, 1)
    d = per_axis("dilation", request.dilation, axes, 1)
    pairs = padding_pairs(request, axes, n, k, s, d)
    resolved = []
    for i, a in enumerate(axes):
        before, after = pairs[i]
        one = PooledAxis(a, n[i], 0, k[i], s[i], d[i], before, after)
        resolved.append(check_axis(one, word, request.ceil_mode))
    return tuple(sorted(resolved))  # row-major in x, however the caller named them


def adaptive_axes(output_size: Any, axes: tuple[int, ...], n: tuple[int, ...]) -> tuple[PooledAxis, ...]:
    """The axes of adaptive pooling: `k` is the longest window. What divides evenly is an ordinary window."""
    words = f"output_size must be a non-negative int or {len(axes)} of them, one per axis (None keeps its length)"
    if isinstance(output_size, str):
        raise TypeError(f"{words}, got {output_size!r}")
    wanted = output_size if isinstance(output_size, tuple) else (output_size,) * len(axes)
    if len(wanted) != len(axes):
        raise ValueError(f"{words}, got {output_size!r}")
    found = []
    for a, size, out in zip(axes, n, wanted, strict=True):
        out = size if out is None else out
        if not isinstance(out, int):
            raise TypeError(f"{words}, got {out!r} for axis {a}")
        if out < 0 or out * size > LARGEST:
            raise ValueError(f"{words}, and at most 2**62 divided by the length of its axis, got {out} for axis {a}")
        k = rule.adaptive_longest(size, out) if out else size
        found.append(PooledAxis(a, size, out, k, k if out > 1 else 1, 1, 0, 0))
    return tuple(found)


def window_rule(request: Request, pooled: tuple[PooledAxis, ...]) -> Any:
    """The row of the window arithmetic: adaptive where an axis of adaptive pooling does not divide evenly."""
    uneven = request.output_size is not None and any(a.out and a.n % a.out for a in pooled)
    return rule.Adaptive() if uneven else rule.SLIDING


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


def pooled_shape(shape: tuple[int, ...], pooled: tuple[PooledAxis, ...], keepdims: bool) -> tuple[int, ...]:
    """The shape with the pooled axes' lengths replaced, or left out."""
    lengths: list[int | None] = list(shape)
    for a in pooled:
        lengths[a.axis] = a.out if keepdims else None
    return tuple(n for n in lengths if n is not None)
