"""Before anything is timed: is every contender's result right, and how exact are the averages?"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from benchmarks.cases import Case

# The exact result is computed in float64 for about this many input elements: the first planes of the first samples.
CHECKED_ELEMENTS = 1 << 21
# Peers round differently (OpenCV halves up, PyTorch sums in another order): what counts as the same mean.
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-5, "float64": 1e-12}


class WrongResult(Exception):
    """A contender's result is not the pooling that the case asks for."""


def channels_first(case: Case, array: np.ndarray) -> np.ndarray:
    """View as (N, C, *spatial)."""
    return array if case.layout == "channels_first" else np.moveaxis(array, -1, 1)


def checked_planes(case: Case) -> tuple[slice, slice]:
    """Which samples and channels the exact result is computed for."""
    plane = prod(case.shape[2:])
    channels = max(1, min(case.shape[1], CHECKED_ELEMENTS // plane))
    samples = max(1, min(case.shape[0], CHECKED_ELEMENTS // (plane * channels)))
    return slice(0, samples), slice(0, channels)


def _windows(case: Case, x: np.ndarray, fill: float, combine: np.ufunc) -> np.ndarray:
    """Combine each window, one axis after another, in float64."""
    pads = [(0, 0)] * 2 + [(case.padding, case.padding)] * case.dims
    x = np.pad(x, pads, constant_values=fill) if case.padding else x
    for axis, (k, s, o) in enumerate(zip(case.windows, case.strides, case.out_shape[2:], strict=True), start=2):
        if k == x.shape[axis]:
            x = combine.reduce(x, axis=axis, keepdims=True)
            continue
        lanes = [x[(slice(None),) * axis + (slice(tap, tap + (o - 1) * s + 1, s),)] for tap in range(k)]
        total = lanes[0].copy()
        for lane in lanes[1:]:
            combine(total, lane, out=total)
        x = total
    return x


def _shared_windows(case: Case, x: np.ndarray, combine: np.ufunc) -> np.ndarray:
    """Combine each window of an adaptive operator, one axis after another."""
    for axis, (n, out) in enumerate(zip(x.shape[2:], case.out_shape[2:], strict=True), start=2):
        ranges = [(o * n // out, -(-(o + 1) * n // out)) for o in range(out)]
        lanes = [combine.reduce(x.take(range(*r), axis=axis), axis=axis, keepdims=True) for r in ranges]
        x = np.concatenate(lanes, axis=axis)
    return x


def _combined(case: Case, x: np.ndarray, fill: float, combine: np.ufunc) -> np.ndarray:
    """Each window combined, whatever the operator's windows."""
    return _shared_windows(case, x, combine) if case.is_adaptive else _windows(case, x, fill, combine)


def exact(case: Case, planes: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The result of (N, C, *spatial) planes in float64, and one ulp at the size of the terms where results round."""
    x = planes.astype(np.float64)
    if case.is_exact:
        sign = -1.0 if case.kind == "min" else 1.0
        return sign * _combined(case, sign * x, -np.inf, np.maximum), None
    if case.kind == "lp":
        norm = np.sqrt(_combined(case, x * x, 0.0, np.add))
        return norm, np.spacing(norm.astype(case.result_dtype)).astype(np.float64)
    count: float | np.ndarray = prod(case.windows)
    if case.kind == "sum":
        count = 1.0
    if case.is_adaptive:
        count = _combined(case, np.ones_like(x), 0.0, np.add)
    mean = _combined(case, x, 0.0, np.add) / count
    if case.out_dtype is not None:
        return np.rint(mean), None
    magnitude = _combined(case, np.abs(x), 0.0, np.add) / count
    return mean, np.spacing(magnitude.astype(case.result_dtype)).astype(np.float64)


def error_in_ulp(case: Case, planes: np.ndarray, result: np.ndarray) -> float | None:
    """Largest error of an average in ulp at the mean of |x|; None where results are exact by definition."""
    if not case.is_average:
        return None
    mean, ulp = exact(case, planes)
    if ulp is None:
        return None
    got = channels_first(case, result)[checked_planes(case)].astype(np.float64)
    return float(np.max(np.abs(got - mean) / ulp))


def check_indices(case: Case, planes: np.ndarray, values: np.ndarray, where: np.ndarray) -> None:
    """Raise WrongResult unless the planes have these values at these positions."""
    if where.shape != values.shape or where.dtype != np.int64:
        raise WrongResult(f"gpupool gives indices {where.dtype} {where.shape}")
    values, where = (channels_first(case, a)[checked_planes(case)] for a in (values, where))
    flat = planes.reshape(*planes.shape[:2], -1)
    if not np.array_equal(np.take_along_axis(flat, where.reshape(*where.shape[:2], -1), 2).ravel(), values.ravel()):
        raise WrongResult("gpupool's indices are not where its values lie")


def check_gpupool(case: Case, planes: np.ndarray, result: Any) -> None:
    """Raise WrongResult unless shape, dtype and values are right, averages of floats by the accuracy rule."""
    if case.indices:
        result, where = result
        check_indices(case, planes, result, where)
    shape = case.in_layout(case.out_shape)
    if result.shape != shape or result.dtype != np.dtype(case.result_dtype):
        raise WrongResult(f"gpupool gives {result.dtype} {result.shape}, not {case.result_dtype} {shape}")
    wanted, ulp = exact(case, planes)
    got = channels_first(case, result)[checked_planes(case)].astype(np.float64)
    worst = float(np.max(np.abs(got - wanted) / (1.0 if ulp is None else ulp)))
    # The accuracy rule: 2 ulp up to 64 taps, 1 ulp above, where sums are compensated or wider.
    limit = 0.0 if ulp is None else 2.0 if case.taps <= 64 else 1.0
    if not worst <= limit:
        raise WrongResult(f"gpupool is off by {worst:.3g} {'ulp' if ulp is not None else ''}")


def check_peer(case: Case, name: str, ours: Any, theirs: Any) -> None:
    """Raise WrongResult unless the peer computes the same thing, up to its rounding of averages."""
    if case.indices:
        if not np.array_equal(ours[1], theirs[1]):
            raise WrongResult(f"{name} and gpupool disagree about indices")
        ours, theirs = ours[0], theirs[0]
    if theirs.shape != ours.shape:
        raise WrongResult(f"{name} gives shape {theirs.shape}, gpupool {ours.shape}")
    if case.is_exact:
        same = np.array_equal(ours, theirs)
    elif "int" in case.result_dtype:
        same = int(np.max(np.abs(ours.astype(np.int64) - theirs.astype(np.int64)))) <= 1
    else:
        tolerance = TOLERANCE[case.result_dtype]
        same = np.allclose(ours.astype(np.float64), theirs.astype(np.float64), rtol=tolerance, atol=tolerance)
    if not same:
        raise WrongResult(f"{name} and gpupool disagree")
