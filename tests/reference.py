"""A pooling oracle that shares nothing with gpupool: plain Python over the taps of every window.

Integers and binary fractions are added as Python integers, so every sum is exact; a mean is a `Fraction`, rounded
once to the result's format. Nothing here is fast and nothing is clever: it is read as the statement of the rules.
"""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product

import numpy as np

# name -> (bits of precision, smallest normal exponent, largest exponent)
FORMATS = {
    "float16": (11, -14, 15),
    "bfloat16": (8, -126, 127),
    "float32": (24, -126, 127),
    "float64": (53, -1022, 1023),
}
UNIT = 1074  # every finite float64 is an integer multiple of 2**-1074


class Rejected(ValueError):
    """The arguments describe no pooling: the library has to raise for them, too."""


@dataclass
class Answer:
    """Expected values; of means also what an error is judged by: exact mean, mean of |x|, exact sum of integers."""

    values: np.ndarray
    indices: np.ndarray | None = None
    taps: int = 0
    exact: list = field(default_factory=list)
    scale: list = field(default_factory=list)
    totals: list | None = None


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


# ---------------------------------------------------------------- numbers


def exponent(value):
    """floor(log2 |value|) of a non-zero Fraction."""
    guess = abs(value.numerator).bit_length() - value.denominator.bit_length()
    while Fraction(2) ** guess > abs(value):
        guess -= 1
    while Fraction(2) ** (guess + 1) <= abs(value):
        guess += 1
    return guess


def ulp(value, name):
    """Distance between neighbours of format `name` at |value|."""
    precision, lowest, _ = FORMATS[name]
    at = lowest if value == 0 else max(exponent(value), lowest)
    return Fraction(2) ** (at - precision + 1)


def nearest(value, name):
    """The float of format `name` nearest to a Fraction (ties to even), as a Python float."""
    step = ulp(value, name)
    rounded = round(value / step) * step  # Fraction.__round__ takes half to even
    limit = Fraction(2) ** (FORMATS[name][2] + 1)
    if abs(rounded) >= limit:
        return math.copysign(math.inf, rounded)
    return float(rounded)


def to_integer(value, dtype):
    """A mean as an integer: half to even, clamped to the range, NaN as 0."""
    info = np.iinfo(dtype)
    if isinstance(value, float):
        return 0 if math.isnan(value) else int(info.max if value > 0 else info.min)
    return min(max(round(value), int(info.min)), int(info.max))


def is_float(dtype):
    """Floating, ml_dtypes' bfloat16 included (its NumPy kind is 'V')."""
    return np.dtype(dtype).name in FORMATS


def mean_dtype(dtype):
    """Result dtype of an average without `dtype=`."""
    dtype = np.dtype(dtype)
    if is_float(dtype):
        return dtype
    return np.dtype(np.float32 if dtype.itemsize <= 2 else np.float64)


# ---------------------------------------------------------------- the two operators


def plane_lists(x):
    """A (planes, elements) array as lists of Python ints or floats."""
    return (x.astype(np.float64) if is_float(x.dtype) else x).tolist()


def max_position(plane, taps):
    """First largest tap; a NaN is larger than any number, and the last NaN wins."""
    best = taps[0]
    for t in taps[1:]:
        if plane[t] > plane[best] or plane[t] != plane[t]:
            best = t
    return best


def pool_max(x, grid):
    """Values and flat positions, (planes, windows)."""
    where = [[max_position(plane, taps) for taps, _ in grid] for plane in plane_lists(x)]
    indices = np.array(where, np.int64).reshape(len(x), len(grid))
    return np.take_along_axis(x, indices, axis=1), indices


def units(value):
    """A finite float as an integer number of 2**-UNIT."""
    numerator, denominator = value.as_integer_ratio()
    return numerator << (UNIT + 1 - denominator.bit_length())


def exact_mean(values, divisor):
    """Fraction, or the float NaN / inf that IEEE addition and division give."""
    odd = {v for v in values if not math.isfinite(v)}
    if not odd:
        if isinstance(values[0], float):
            return Fraction(sum(map(units, values)), divisor << UNIT)
        return Fraction(int(sum(values)), divisor)
    if len(odd) > 1 or any(v != v for v in odd):
        return math.nan
    return odd.pop() * math.copysign(1, divisor)


def magnitude(values, divisor):
    """Mean of |x|: the size at which an ulp is measured."""
    mean = exact_mean([abs(v) for v in values], abs(divisor))
    return mean if isinstance(mean, Fraction) else Fraction(0)


def pool_mean(x, grid, divisor_override, dtype):
    """Answer with (planes, windows) values."""
    exact, scale, totals = [], [], []
    for plane in plane_lists(x):
        for taps, counted in grid:
            values = [plane[t] for t in taps]
            divisor = counted if divisor_override is None else int(divisor_override)
            exact.append(exact_mean(values, divisor))
            scale.append(magnitude(values, divisor))
            totals.append(None if is_float(x.dtype) else sum(values))
    if is_float(dtype):
        rounded = np.array([e if isinstance(e, float) else nearest(e, dtype.name) for e in exact], np.float64)
    else:
        rounded = np.array([to_integer(e, dtype) for e in exact], dtype)
    with np.errstate(all="ignore"):
        values = rounded.astype(dtype).reshape(len(x), len(grid))
    return Answer(values, exact=exact, scale=scale, totals=None if is_float(x.dtype) else totals)


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
    divisor_override=None,
    dtype=None,
):
    """Pool `x` over `axes`; the arguments are those of `gpupool.pool`."""
    x = np.asarray(x)
    rows = resolve(x.shape, window, axes, stride, padding, dilation)
    pooled = [a for a, *_ in rows]
    windows = [axis_windows(x.shape[a], k, s, p, d, ceil_mode) for a, k, s, p, d in rows]
    answer = pool_windows(x, op, pooled, windows, count_include_pad, divisor_override, dtype)
    answer.taps = math.prod(k for _, k, *_ in rows)
    return answer


def pool_windows(x, op, pooled, windows, count_include_pad=True, divisor_override=None, dtype=None):
    """Pool the windows that are listed for each pooled axis."""
    sizes = [x.shape[a] for a in pooled]
    grid = window_grid(windows, sizes, count_include_pad)
    last = range(-len(pooled), 0)
    moved = np.moveaxis(x, pooled, last)
    planes = moved.reshape(math.prod(moved.shape[: -len(pooled)]), math.prod(sizes))
    shape = moved.shape[: -len(pooled)] + tuple(len(w) for w in windows)
    if op == "max":
        values, indices = pool_max(planes, grid)
        answer = Answer(values, np.moveaxis(indices.reshape(shape), last, pooled))
    else:
        answer = pool_mean(planes, grid, divisor_override, np.dtype(dtype or mean_dtype(x.dtype)))
        order = np.moveaxis(np.arange(answer.values.size).reshape(shape), last, pooled).ravel()
        for name in ("exact", "scale", "totals"):
            column = getattr(answer, name)
            setattr(answer, name, column and [column[i] for i in order])
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


def adaptive(x, op, axes, output_size, dtype=None):
    """Adaptive pooling over `axes`."""
    wanted = [n if n is not None else x.shape[a] for a, n in zip(axes, output_size, strict=True)]
    windows = [adaptive_windows(x.shape[a], n) for a, n in zip(axes, wanted, strict=True)]
    return pool_windows(x, op, axes, windows, dtype=dtype)


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
    op = "max" if "max" in name else "avg"
    if name.startswith("adaptive"):
        size = kwargs.pop("output_size")
        return adaptive(x, op, axes, [size] * count if isinstance(size, int) else list(size), **kwargs)
    if not name.startswith("global"):
        return pool(x, op, per_axis(kwargs.pop("kernel_size"), count), axes=axes, **kwargs)
    keepdims = kwargs.pop("keepdims", True)
    answer = pool(x, op, [x.shape[a] for a in axes], axes=axes, **kwargs)
    if not keepdims:
        answer.values = answer.values.squeeze(axes)
    return answer
