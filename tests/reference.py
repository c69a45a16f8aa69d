"""A pooling oracle that shares nothing with gpupool: plain Python over the taps of every window.

Integers and binary fractions are added as Python integers, so every sum is exact; a mean is a `Fraction`, rounded
once to the result's format. Nothing here is fast and nothing is clever: it is read as the statement of the rules.
"""

import math
from fractions import Fraction
from itertools import product

import numpy as np
from reference_numbers import is_float, nearest, ulp
from reference_operators import OPERATORS, Answer

__all__ = ["Answer", "Rejected", "call", "is_float", "nearest", "output_shape", "pool", "ulp"]


class Rejected(ValueError):
    """The arguments describe no pooling: the library has to raise for them, too."""


# ---------------------------------------------------------------- windows


def per_axis(value, count):
    """One entry for each of `count` axes."""
    return [value] * count if isinstance(value, (int, np.integer)) else list(value)


def same_padding(n, k, s, d, lower):
    """(before, after) so that the output has ceil(n / s) elements."""
    wanted = -(-n // s)
    total = max((wanted - 1) * s + d * (k - 1) + 1 - n, 0)
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)


def paddings(padding, sizes, windows, strides, dilations):
    """The (before, after) pair of each axis."""
    if padding == "valid":
        padding = 0
    if isinstance(padding, str):
        rows = zip(sizes, windows, strides, dilations, strict=True)
        return [same_padding(*row, lower={"same": False, "same_lower": True}[padding]) for row in rows]
    pairs = per_axis(padding, len(sizes))
    return [(p, p) if isinstance(p, (int, np.integer)) else tuple(p) for p in pairs]


def starts(n, k, s, before, after, d, ceil_mode):
    """First tap of each window of one axis, by laying windows down one after the other."""
    extent, length = d * (k - 1) + 1, before + n + after
    found = []
    while True:
        start = len(found) * s  # position in the padded axis
        fits = start + extent <= length
        # with ceil_mode one window may hang over the end, if the one before it did not reach the end
        hangs = ceil_mode and start - s + extent < length
        if not (fits or hangs):
            break
        found.append(start)
    if ceil_mode and found and found[-1] >= before + n:  # starts in the padding after the elements: dropped
        found.pop()
    return [start - before for start in found]


def axis_windows(n, k, s, pads, d, ceil_mode):
    """For each window of one axis: (positions of its real elements, number of taps that are elements or padding)."""
    before, after = pads
    if n < 1:
        raise Rejected(f"empty axis: {n}")
    windows = []
    for start in starts(n, k, s, before, after, d, ceil_mode):
        taps = [start + i * d for i in range(k)]
        real = [t for t in taps if 0 <= t < n]
        if not real:
            raise Rejected(f"no real element in the window at {start}")
        windows.append((real, sum(-before <= t < n + after for t in taps)))
    if not windows:
        raise Rejected(f"window {k} (dilation {d}) longer than the axis {n} padded by {pads}")
    return windows


# ---------------------------------------------------------------- any axes


def window_grid(per_axis_windows, sizes, count_include_pad):
    """For each window, row-major: (flat positions of its real elements in row-major order, divisor)."""
    grid = []
    for combination in product(*per_axis_windows):
        taps = []
        for position in product(*(real for real, _ in combination)):
            flat = 0
            for p, n in zip(position, sizes, strict=True):
                flat = flat * n + p
            taps.append(flat)
        counted = math.prod(count for _, count in combination) if count_include_pad else len(taps)
        grid.append((taps, counted))
    return grid


def resolve(shape, window, axes, stride, padding, dilation):
    """Per pooled axis, in the order of the array's axes: (axis, window, stride, (before, after), dilation)."""
    if axes is None:
        count = len(shape) if isinstance(window, (int, np.integer)) else len(window)
        axes = range(len(shape) - count, len(shape))
    axes = [a % len(shape) for a in per_axis(axes, 1)]
    windows = per_axis(window, len(axes))
    strides = windows if stride is None else per_axis(stride, len(axes))
    dilations = per_axis(dilation, len(axes))
    pads = paddings(padding, [shape[a] for a in axes], windows, strides, dilations)
    return sorted(zip(axes, windows, strides, pads, dilations, strict=True))


def pool(
    x,
    op,
    window,
    *,
    axes=None,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    count_include_pad=True,
    **parameters,
):
    """Pool `x` over `axes`; the arguments are those of `gpupool.pool`."""
    x = np.asarray(x)
    rows = resolve(x.shape, window, axes, stride, padding, dilation)
    pooled = [a for a, *_ in rows]
    windows = [axis_windows(x.shape[a], k, s, p, d, ceil_mode) for a, k, s, p, d in rows]
    answer = pool_windows(x, op, pooled, windows, parameters, count_include_pad)
    answer.taps = math.prod(k for _, k, *_ in rows)
    return answer


def pool_windows(x, op, pooled, windows, parameters, count_include_pad=True):
    """Pool the windows that are listed for each pooled axis."""
    sizes = [x.shape[a] for a in pooled]
    grid = window_grid(windows, sizes, count_include_pad)
    last = range(-len(pooled), 0)
    moved = np.moveaxis(x, pooled, last)
    planes = moved.reshape(math.prod(moved.shape[: -len(pooled)]), math.prod(sizes))
    shape = moved.shape[: -len(pooled)] + tuple(len(w) for w in windows)
    answer = OPERATORS[op](planes, grid, parameters)
    order = np.moveaxis(np.arange(answer.values.size).reshape(shape), last, pooled).ravel()
    for name in ("exact", "scale", "totals"):
        column = getattr(answer, name)
        setattr(answer, name, column and [column[i] for i in order])
    if answer.indices is not None:
        answer.indices = np.moveaxis(answer.indices.reshape(shape), last, pooled)
    answer.values = np.moveaxis(answer.values.reshape(shape), last, pooled)
    answer.taps = max((len(taps) for taps, _ in grid), default=0)
    return answer


def adaptive_windows(n, out):
    """The windows of one axis: all elements, as pieces [p, p + 1) of a line, that touch each of `out` equal parts."""
    if n < 1:
        raise Rejected(f"empty axis: {n}")
    part = Fraction(n, out) if out else None
    windows = [[p for p in range(n) if p + 1 > i * part and p < (i + 1) * part] for i in range(out)]
    return [(window, len(window)) for window in windows]


def adaptive(x, op, axes, output_size, **parameters):
    """Adaptive pooling over `axes`."""
    wanted = [n if n is not None else x.shape[a] for a, n in zip(axes, output_size, strict=True)]
    windows = [adaptive_windows(x.shape[a], n) for a, n in zip(axes, wanted, strict=True)]
    return pool_windows(x, op, axes, windows, parameters)


def output_shape(shape, window, *, axes=None, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Shape of the pooled array, by counting windows."""
    result = list(shape)
    for a, k, s, p, d in resolve(shape, window, axes, stride, padding, dilation):
        result[a] = len(axis_windows(shape[a], k, s, p, d, ceil_mode))
    return tuple(result)


def call(name, x, **kwargs):
    """The answer for a public function of gpupool, by name: "pool", "max_pool2d", "global_avg_pool3d" ..."""
    x = np.asarray(x)
    kwargs.pop("out", None)
    kwargs.pop("return_indices", None)
    if name == "pool":
        return pool(x, **kwargs)
    count = int(name[-2])
    spatial_end = x.ndim - (kwargs.pop("data_format", "channels_first") == "channels_last")
    axes = tuple(range(spatial_end - count, spatial_end))
    op = name.removeprefix("global_").removeprefix("adaptive_").partition("_")[0]
    if name.startswith("adaptive"):
        size = kwargs.pop("output_size")
        return adaptive(x, op, axes, [size] * count if isinstance(size, int) else list(size), **kwargs)
    if not name.startswith("global"):
        return pool(x, op, per_axis(kwargs.pop("kernel_size"), count), axes=axes, **kwargs)
    keepdims = kwargs.pop("keepdims", True)
    answer = pool(x, op, [x.shape[a] for a in axes], axes=axes, **kwargs)
    if not keepdims:
        answer.values = answer.values.squeeze(axes)
        answer.indices = None if answer.indices is None else answer.indices.squeeze(axes)
    return answer
