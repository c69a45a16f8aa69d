"""Gradients by brute force, in Python floats: every window gives its share to its elements. Nothing is gpupool's."""

import math

import numpy as np
import reference
import reference_operators


def share(op, values, taps, g, divisor, options):
    """(element, share) of one window's gradient g."""
    if op == "avg":
        return [(t, g / divisor) for t in taps]
    if op == "sum":
        return [(t, g) for t in taps]
    if op == "max":
        return [(reference_operators.best_position(values, taps, 1, {}), g)]
    if op == "min":
        return [(reference_operators.best_position(values, taps, -1, {}), g)]
    return lp_share(values, taps, g, options["norm_type"])


def lp_share(values, taps, g, p):
    """Of an Lp norm: g * sign(x) * (|x| / norm)**(p - 1), zero where the norm is; each largest |x| for p = inf."""
    sizes = [abs(v) for v in values]
    if math.isinf(p):
        most = max(sizes[t] for t in taps)
        return [(t, g * np.sign(values[t]) if sizes[t] == most else 0.0) for t in taps]
    norm = sum(sizes[t] ** p for t in taps) ** (1 / p)
    if norm == 0:
        return [(t, 0.0) for t in taps]
    return [(t, g * np.sign(values[t]) * (sizes[t] / norm) ** (p - 1) if sizes[t] else 0.0) for t in taps]


def known(op, values, taps, divisor, override):
    """What a window that omits NaN gives to whom: its taps and its divisor; of nothing but NaN the last, or none."""
    there = [t for t in taps if values[t] == values[t]]
    if op in ("max", "min"):
        return there or taps[-1:], divisor
    return there, divisor - (len(taps) - len(there) if override is None else 0)


def gradient(op, grad, x, axes, windows, include=True, override=None, omit=False, **options):
    """The gradient of pooling `x` over `axes`, whose windows are (real positions, counted taps) per axis; float64."""
    sizes = [x.shape[a] for a in axes]
    grid = reference.window_grid(windows, sizes, include)
    last = range(-len(axes), 0)
    moved = np.moveaxis(x.astype(np.float64), axes, last)
    planes = moved.reshape(-1, math.prod(sizes))
    grads = np.moveaxis(grad.astype(np.float64), axes, last).reshape(len(planes), len(grid))
    result = np.zeros_like(planes)
    for plane in range(len(planes)):
        values = planes[plane].tolist()
        for (taps, counted), g in zip(grid, grads[plane].tolist(), strict=True):
            divisor = counted if override is None else override
            if omit:
                taps, divisor = known(op, values, taps, divisor, override)
            for t, part in share(op, values, taps, g, divisor, options):
                result[plane, t] += part
    return np.moveaxis(result.reshape(moved.shape), last, axes)


def windows_of(shape, axes, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The windows of each axis, as `gradient` takes them."""
    rows = reference.resolve(shape, kernel_size, axes, stride, padding, dilation)
    return [reference.axis_windows(shape[a], k, s, p, d, ceil_mode) for a, k, s, p, d in rows]


def adaptive_windows(shape, axes, output_size):
    """The windows of adaptive pooling: from floor(i * n / o) to ceil((i + 1) * n / o)."""
    sizes = output_size if isinstance(output_size, tuple) else (output_size,) * len(axes)
    found = []
    for a, size in zip(axes, sizes, strict=True):
        n, out = shape[a], shape[a] if size is None else size
        ranges = [range(i * n // out, -(-(i + 1) * n // out)) for i in range(out)]
        found.append([(list(r), len(r)) for r in ranges])
    return found
