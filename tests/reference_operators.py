"""The oracle's operators: plain Python over the taps of every window, exact where numbers can be; nothing of gpupool's.

Each takes (planes, elements) values, the grid of windows as (positions of real elements, divisor), and the parameters
of the call by name; it gives an Answer of (planes, windows).
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
from reference_numbers import UNIT, is_float, mean_dtype, nearest, to_integer


@dataclass
class Answer:
    """Expected values; of means also what an error is judged by: exact mean, mean of |x|, exact sum of integers."""

    values: np.ndarray
    indices: np.ndarray | None = None
    taps: int = 0
    exact: list = field(default_factory=list)
    scale: list = field(default_factory=list)
    totals: list | None = None
    powers: float = 0.0  # ulps more where the result is of powers, which no library rounds correctly


def plane_lists(x):
    """A (planes, elements) array as lists of Python ints or floats."""
    return (x.astype(np.float64) if is_float(x.dtype) else x).tolist()


def known(plane, taps, parameters):
    """The taps that there are: all, or those that are not NaN."""
    return [t for t in taps if plane[t] == plane[t]] if parameters.get("nan_policy") == "omit" else taps


def best_position(plane, taps, sign, parameters):
    """First largest (or smallest) tap; a NaN beats any number, and the last NaN wins."""
    taps = known(plane, taps, parameters) or taps[-1:]
    best = taps[0]
    for t in taps[1:]:
        if (plane[t] > plane[best] if sign > 0 else plane[t] < plane[best]) or plane[t] != plane[t]:
            best = t
    return best


def pool_extreme(x, grid, sign, parameters):
    """Values and flat positions."""
    where = [[best_position(plane, taps, sign, parameters) for taps, _ in grid] for plane in plane_lists(x)]
    indices = np.array(where, np.int64).reshape(len(x), len(grid))
    return Answer(np.take_along_axis(x, indices, axis=1), indices)


def pool_max(x, grid, parameters):
    """The largest element."""
    return pool_extreme(x, grid, 1, parameters)


def pool_min(x, grid, parameters):
    """The smallest element."""
    return pool_extreme(x, grid, -1, parameters)


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


def rounded(exact, dtype, shape):
    """Exact numbers (or the floats inf and NaN) in a dtype, each rounded once."""
    if is_float(dtype):
        numbers = np.array([e if isinstance(e, float) else nearest(e, dtype.name) for e in exact], np.float64)
    else:
        numbers = np.array([to_integer(e, dtype) for e in exact], dtype)
    with np.errstate(all="ignore"):
        return numbers.astype(dtype).reshape(shape)


def linear(x, grid, divide, dtype, parameters):
    """Sums over divisors: `divide(number of taps in the divisor, number of NaN left out)`."""
    exact, scale, totals = [], [], []
    for plane in plane_lists(x):
        for taps, counted in grid:
            values = [plane[t] for t in known(plane, taps, parameters)]
            divisor = divide(counted, len(taps) - len(values))
            empty = math.nan if divide is not undivided else Fraction(0)
            exact.append(exact_mean(values, divisor) if values else empty)
            scale.append(magnitude(values, divisor) if values else Fraction(0))
            totals.append(None if is_float(x.dtype) else sum(values))
    values = rounded(exact, dtype, (len(x), len(grid)))
    return Answer(values, exact=exact, scale=scale, totals=None if is_float(x.dtype) else totals)


def undivided(counted, left_out):
    """The divisor of a sum."""
    return 1


def pool_mean(x, grid, parameters):
    """The mean."""
    override = parameters.get("divisor_override")

    def divide(counted, left_out):
        return counted - left_out if override is None else int(override)

    return linear(x, grid, divide, np.dtype(parameters.get("dtype") or mean_dtype(x.dtype)), parameters)


def pool_sum(x, grid, parameters):
    """The sum; of integers, in NumPy's dtype and modulo 2**64."""
    default = x.dtype if is_float(x.dtype) else np.dtype("u8" if x.dtype.kind == "u" else "i8")
    dtype = np.dtype(parameters.get("dtype") or default)
    if is_float(x.dtype) or dtype != default:
        return linear(x, grid, undivided, dtype, parameters)
    sums = [[sum(int(plane[t]) for t in taps) % 2**64 for taps, _ in grid] for plane in plane_lists(x)]
    return Answer(np.array(sums, np.uint64).reshape(len(x), len(grid)).astype(dtype))


def exact_norm(values, p):
    """(sum |x|**p) ** (1 / p) to sixty digits, or the float inf or NaN."""
    sizes = [abs(v) for v in values]
    if any(v != v for v in sizes):
        return math.nan
    if math.inf in sizes:
        return math.inf
    if p == math.inf:
        return Fraction(max(sizes))
    with localcontext(prec=60, Emax=10**9, Emin=-(10**9)):
        power = Decimal(float(p))
        total = sum((Decimal(v) ** power for v in sizes if v), Decimal(0))
        return Fraction(total ** (1 / power)) if total else Fraction(0)


def pool_norm(x, grid, parameters):
    """The Lp norm."""
    dtype = np.dtype(parameters.get("dtype") or mean_dtype(x.dtype))
    p = parameters.get("norm_type", 2)
    exact = [exact_norm([plane[t] for t in taps], p) for plane in plane_lists(x) for taps, _ in grid]
    scale = [e if isinstance(e, Fraction) else Fraction(0) for e in exact]
    # CUDA documents 2 ulp for its powers in float64; the root divides the error of the terms by p.
    powers = 0.0 if p in (1, 2, math.inf) else 2 / float(p)
    return Answer(rounded(exact, dtype, (len(x), len(grid))), exact=exact, scale=scale, powers=powers)


def pool_any(x, grid, parameters):
    """Whether any element differs from zero."""
    found = [[any(plane[t] != 0 for t in taps) for taps, _ in grid] for plane in plane_lists(x)]
    return Answer(np.array(found, bool).reshape(len(x), len(grid)))


def pool_all(x, grid, parameters):
    """Whether all elements differ from zero."""
    found = [[all(plane[t] != 0 for t in taps) for taps, _ in grid] for plane in plane_lists(x)]
    return Answer(np.array(found, bool).reshape(len(x), len(grid)))


def pool_median(x, grid, parameters):
    """The middle element, or the mean of the two middle ones."""
    dtype = np.dtype(parameters.get("dtype") or mean_dtype(x.dtype))
    exact, scale, totals = [], [], []
    for plane in plane_lists(x):
        for taps, _ in grid:
            values = [plane[t] for t in taps]
            ranks = sorted(values) if all(v == v for v in values) else [math.nan]
            middle = ranks[(len(ranks) - 1) // 2 : len(ranks) // 2 + 1]
            exact.append(exact_mean(middle, len(middle)))
            scale.append(magnitude(middle, len(middle)))
            totals.append(None if is_float(x.dtype) else sum(middle))
    values = rounded(exact, dtype, (len(x), len(grid)))
    return Answer(values, exact=exact, scale=scale, totals=None if is_float(x.dtype) else totals)


def most_frequent(values, ignore):
    """The smallest of the most frequent values."""
    odd = [v for v in values if v != v]
    counted = Counter(v for v in values if v != ignore)
    if odd or not counted:
        return odd[0] if odd else ignore
    most = max(counted.values())
    best = min(v for v, count in counted.items() if count == most)
    return next(v for v in values if v == best)  # the first one, which decides between zeros


def pool_mode(x, grid, parameters):
    """The most frequent element."""
    ignore = parameters.get("ignore")
    found = [[most_frequent([plane[t] for t in taps], ignore) for taps, _ in grid] for plane in plane_lists(x)]
    kind = np.float64 if is_float(x.dtype) else x.dtype
    return Answer(np.array(found, kind).reshape(len(x), len(grid)).astype(x.dtype))


OPERATORS = {
    "max": pool_max,
    "min": pool_min,
    "avg": pool_mean,
    "sum": pool_sum,
    "lp": pool_norm,
    "median": pool_median,
    "mode": pool_mode,
    "any": pool_any,
    "all": pool_all,
}
