"""Lp norms of windows: (sum |x|**p) ** (1 / p).

p = 1 to 4 need no power: one takes as long as twenty products, and no vectors. p = inf is the largest |x|.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from . import adding
from .codecs import bits_of, float_of
from .extremes import larger, whole


def ratio_of(a, b):
    """a / b; of float32, kernels for GPUs have their own, within 2 ulp."""
    return a / b


def raised(x, p):
    """x**p for x >= 0; kernels for CPUs have their own, within 1 ulp of x's type, which vectors can hold."""
    return x**p


def raised_briefly(x, p):
    """x**p in float64 to 30 bits, where x and the power are 0, infinite, NaN or normal."""
    return np.float64(x) ** np.float64(p)


def root_of(x, p):
    """x**(1/p) in float64, within an ulp where p > 1."""
    r = x ** (1.0 / p)
    if p > 1.0 and r > 0.0 and x < 1e300:
        # 1 / p is rounded, which costs log(x) / 2 ulp: one step of Newton's takes that back.
        r = r * (1.0 - (r**p / x - 1.0) / p)
    return r


def root_growth(u, p):
    """(1 + u)**(1/p) - 1 for u from 0 to 1 and p > 1; kernels for CPUs have their own."""
    return (1.0 + u) ** (1.0 / p) - 1.0


def size32(red, v, at):
    """Seed: |v| in float32."""
    return abs(np.float32(v))


def size64(red, v, at):
    """Seed: |v| in float64; converted first, the least integer has no absolute value."""
    return abs(np.float64(v))


def size_pair(red, v, at):
    """Seed: |v| and its error."""
    return (abs(np.float32(v)), np.float32(-0.0))


def square32(red, v, at):
    """Seed: v * v in float32."""
    return np.float32(v) * np.float32(v)


def square64(red, v, at):
    """Seed: v * v in float64."""
    return np.float64(v) * np.float64(v)


def square_pair(red, v, at):
    """Seed: v * v, exact for halves, and its error."""
    return (np.float32(v) * np.float32(v), np.float32(-0.0))


def root(red, acc, count):
    """Finish of p = 2."""
    return math.sqrt(acc)


def root_of_pair(red, acc, count):
    """Finish of p = 2 for a sum and its error."""
    s = acc[0] + acc[1]
    return math.sqrt(s if s == s else acc[0])


class Norm1(NamedTuple):
    """Sum of |x| in float32."""

    accumulator = staticmethod(adding.in_float32)
    neutral = staticmethod(adding.zero32)
    seed = staticmethod(size32)
    combine = staticmethod(adding.add)
    finish = staticmethod(adding.total)


class Norm1Wide(NamedTuple):
    """Sum of |x| in float64."""

    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    seed = staticmethod(size64)
    combine = staticmethod(adding.add)
    finish = staticmethod(adding.total)


class Norm1Compensated(NamedTuple):
    """Sum of |x| in float32 with its rounding errors beside it."""

    accumulator = staticmethod(adding.in_pairs)
    neutral = staticmethod(adding.zero_pair)
    seed = staticmethod(size_pair)
    combine = staticmethod(adding.two_sum)
    finish = staticmethod(adding.total_of_pair)


class Norm2(NamedTuple):
    """Root of the sum of squares in float32, whose range holds the squares of float16."""

    accumulator = staticmethod(adding.in_float32)
    neutral = staticmethod(adding.zero32)
    seed = staticmethod(square32)
    combine = staticmethod(adding.add)
    finish = staticmethod(root)


class Norm2Wide(NamedTuple):
    """Root of the sum of squares in float64, whose range holds the squares of float32 and bfloat16."""

    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    seed = staticmethod(square64)
    combine = staticmethod(adding.add)
    finish = staticmethod(root)


class Norm2Compensated(NamedTuple):
    """Norm2 with its rounding errors beside it."""

    accumulator = staticmethod(adding.in_pairs)
    neutral = staticmethod(adding.zero_pair)
    seed = staticmethod(square_pair)
    combine = staticmethod(adding.two_sum)
    finish = staticmethod(root_of_pair)


def cube(red, v, at):
    """Seed: |v|**3 in float64."""
    size = abs(np.float64(v))
    return size * size * size


def fourth(red, v, at):
    """Seed: v**4 in float64."""
    square = np.float64(v) * np.float64(v)
    return square * square


def cube_root(red, acc, count):
    """Finish of p = 3, within an ulp of float64, in steps that compilers make vectors of.

    A third of a float32's bits is its root but for 4 %; a step of Halley's leaves 5e-5, and one of fourth order
    nothing. Powers of 8 bring sums into the range of float32: 2**1024 comes down to 2**28, 2**-1074 up to 2**-78.
    """
    known = 0.0 < acc < np.inf
    a = acc if known else np.float64(1.0)
    large, small = a > 2.0**500, a < 2.0**-500
    a = a * (2.0**-600 if large else (2.0**600 if small else 1.0))
    back = 2.0**200 if large else (2.0**-200 if small else 1.0)
    for _ in range(2):
        large, small = a > 2.0**120, a < 2.0**-120
        a = a * (2.0**-198 if large else (2.0**198 if small else 1.0))
        back = back * (2.0**66 if large else (2.0**-66 if small else 1.0))
    t = np.float32(a)
    g = float_of(np.uint32(bits_of(t) // np.uint32(3)) + np.uint32(0x2A5137A0))
    g3 = g * g * g
    r = np.float64(g * ratio_of(g3 + t + t, g3 + g3 + t))
    h = (a - r * r * r) / a
    r = r + r * h * (1.0 / 3.0 + h * (2.0 / 9.0 + h * (14.0 / 81.0)))
    return r * back if known else acc


def fourth_root(red, acc, count):
    """Finish of p = 4."""
    return math.sqrt(math.sqrt(acc))


class Norm3(NamedTuple):
    """p = 3, in float64, whose range holds the cubes of float32 and bfloat16."""

    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    seed = staticmethod(cube)
    combine = staticmethod(adding.add)
    finish = staticmethod(cube_root)


class Norm4(NamedTuple):
    """p = 4, in float64, whose range holds these powers of float32 and bfloat16."""

    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    seed = staticmethod(fourth)
    combine = staticmethod(adding.add)
    finish = staticmethod(fourth_root)


class NormMost(NamedTuple):
    """p = inf: the largest |x|, in float32."""

    accumulator = staticmethod(adding.in_float32)
    seed = staticmethod(size32)
    combine = staticmethod(larger)
    finish = staticmethod(whole)

    @staticmethod
    def neutral(loaded):
        return np.float32(0.0)


class NormMostWide(NamedTuple):
    """p = inf: the largest |x|, in float64."""

    accumulator = staticmethod(adding.in_float64)
    seed = staticmethod(size64)
    combine = staticmethod(larger)
    finish = staticmethod(whole)

    @staticmethod
    def neutral(loaded):
        return np.float64(0.0)


class NormAny(NamedTuple):
    """Any other p, in float64."""

    p: float

    dear = True
    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    combine = staticmethod(adding.add)

    @staticmethod
    def seed(red, v, at):
        return raised(abs(np.float64(v)), np.float64(red.p))

    @staticmethod
    def finish(red, acc, count):
        return root_of(acc, np.float64(red.p))


def brief_power(red, v, at):
    """Seed: |v|**p, to the digits of float32 and some more."""
    return raised_briefly(abs(np.float64(v)), np.float64(red.p))


class NormAnyBrief(NamedTuple):
    """NormAny for results in float32, where fewer digits take less time."""

    p: float

    dear = True
    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    combine = staticmethod(adding.add)

    seed = staticmethod(brief_power)

    @staticmethod
    def finish(red, acc, count):
        return raised_briefly(acc, 1.0 / np.float64(red.p))


class Powers3(NamedTuple):
    """The sum that Norm3 takes the root of."""

    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    seed = staticmethod(cube)
    combine = staticmethod(adding.add)
    finish = staticmethod(adding.total)


class Powers4(NamedTuple):
    """The sum that Norm4 takes the root of."""

    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    seed = staticmethod(fourth)
    combine = staticmethod(adding.add)
    finish = staticmethod(adding.total)


class PowersBrief(NamedTuple):
    """The sum that NormAnyBrief takes the root of."""

    p: float
    dear = True

    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    seed = staticmethod(brief_power)
    combine = staticmethod(adding.add)
    finish = staticmethod(adding.total)


class NormGrown(NamedTuple):
    """NormAny where powers may leave float64: of two parts' norms the larger grows, by a factor of up to 2**(1/p).

    One number and no branches, so that engines make vectors of it; what it grows by is small, so that a sum's rounding
    is all that counts.
    """

    p: float
    dear = True

    accumulator = staticmethod(adding.in_float64)
    seed = staticmethod(size64)
    finish = staticmethod(whole)

    @staticmethod
    def neutral(loaded):
        return np.float64(0.0)

    @staticmethod
    def combine(red, a, b):
        p = np.float64(red.p)
        most = a if a > b else b
        least = b if a > b else a
        r = most + most * root_growth(raised(least / most, p), p)
        r = r if (most > 0.0) & (most < np.inf) else most
        return r if least == least else least


class NormScaled(NamedTuple):
    """The same for GPUs, whose threads branch: the largest |x|, and the sum of the powers of |x| over it."""

    p: float

    accumulator = staticmethod(adding.in_pairs)

    @staticmethod
    def neutral(loaded):
        return (np.float64(0.0), np.float64(0.0))

    @staticmethod
    def seed(red, v, at):
        return (abs(np.float64(v)), np.float64(1.0))

    @staticmethod
    def combine(red, a, b):
        if a[0] > b[0]:
            return (a[0], a[1] + b[1] * (b[0] / a[0]) ** np.float64(red.p))
        if a[0] < b[0]:
            return (b[0], b[1] + a[1] * (a[0] / b[0]) ** np.float64(red.p))
        return (a[0] if a[0] == b[0] else np.float64(np.nan), a[1] + b[1])  # both are 0, or inf, or there is a NaN

    @staticmethod
    def finish(red, acc, count):
        return acc[0] * acc[1] ** (1.0 / np.float64(red.p))


# Elements lie between 2**-n and 2**n; those of float64 that somebody is likely to raise to a power.
REACH = {"float16": 24, "bfloat16": 133, "float32": 149, "float64": 125}


def in_range(p, dtype):
    """Whether powers of the elements, and the sum of many, are normal numbers of float64."""
    return p * REACH.get(dtype.name, 8 * dtype.itemsize) < 1000


def in_brief(p, dtype):
    """Whether powers of elements of this dtype, for results no wider than float32, need no more than 30 bits.

    Below p = 1 / 2 the root makes too much of a power's error.
    """
    return dtype.itemsize <= 4 and 0.5 <= p < np.inf and in_range(p, dtype)


def norm_reducer(wanted):
    """The row for "lp": the cheapest accumulator that neither overflows nor loses accuracy."""
    (p,) = wanted.options
    dtype, out_dtype, taps = wanted.dtype, wanted.out_dtype, wanted.taps
    narrow = dtype.itemsize <= 4 and out_dtype.itemsize <= 4 and out_dtype.kind not in "iu"
    if dtype.kind in "iu" and dtype.itemsize == 4:
        narrow = False
    if p == np.inf:
        return NormMost() if narrow else NormMostWide()
    if p not in (1.0, 2.0):
        if not in_range(p, dtype):
            return NormGrown(p) if wanted.wide else NormScaled(p)
        brief = narrow and wanted.wide and in_brief(p, dtype)
        return {3.0: Norm3(), 4.0: Norm4()}.get(p, NormAnyBrief(p) if brief else NormAny(p))
    one = p == 1.0
    if dtype.kind in "biu":
        # Integers whose sum float32 holds exactly.
        narrow = narrow and taps * (1 if dtype.kind == "b" else 2 ** (8 * dtype.itemsize)) ** int(p) <= 2**23
        if narrow:
            return Norm1() if one else Norm2()
        return Norm1Wide() if one else Norm2Wide()
    if not narrow or (not one and dtype.name != "float16"):
        return Norm1Wide() if one else Norm2Wide()
    if taps <= (4 if dtype.itemsize == 4 else 64):
        return Norm1() if one else Norm2()
    if wanted.wide:
        return Norm1Wide() if one else Norm2Wide()
    return Norm1Compensated() if one else Norm2Compensated()


def powers_reducer(wanted):
    """The row for the sum of powers of elements for which they are brief (see `in_brief`)."""
    (p,) = wanted.options
    return {3.0: Powers3(), 4.0: Powers4()}.get(p, PowersBrief(p))
