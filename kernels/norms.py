"""Lp norms of windows: (sum |x|**p) ** (1 / p).

p = 1 to 4 need no power: one takes as long as twenty products, and no vectors. p = inf is the largest |x|.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from . import adding
from .any_norm import NormAny, NormAnyBrief, NormGrown, NormScaled, PowersBrief
from .codecs import bits_of, float_of
from .extremes import larger, whole


def ratio_of(a, b):
    """a / b; of float32, kernels for GPUs have their own, within 2 ulp."""
    return a / b


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
    seed = staticmethod(adding.size32)
    combine = staticmethod(adding.add)
    finish = staticmethod(adding.total)


class Norm1Wide(NamedTuple):
    """Sum of |x| in float64."""

    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    seed = staticmethod(adding.size64)
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
    seed = staticmethod(adding.size32)
    combine = staticmethod(larger)
    finish = staticmethod(whole)

    @staticmethod
    def neutral(loaded):
        return np.float32(0.0)


class NormMostWide(NamedTuple):
    """p = inf: the largest |x|, in float64."""

    accumulator = staticmethod(adding.in_float64)
    seed = staticmethod(adding.size64)
    combine = staticmethod(larger)
    finish = staticmethod(whole)

    @staticmethod
    def neutral(loaded):
        return np.float64(0.0)


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
