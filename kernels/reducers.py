"""Operators as rows: seed, combine, finish. Plain Python, compiled for CPU and GPU; engines know no operator names.

A reducer is a NamedTuple class. Its fields, if any, are run-time parameters; its static functions are the operator:

    seed(red, v, at)       one loaded element, at flat position `at` of the pooled axes -> an accumulator
    combine(red, a, b)     two accumulators, `a` of earlier elements than `b` -> one; associative up to rounding
    finish(red, acc, count)  accumulator and divisor -> what is stored
    accumulator(loaded)    host only: the accumulator's dtype for elements of dtype `loaded`, None for a tuple
    neutral(loaded)        host only: an accumulator that changes no other, bit for bit; stands for padding in buffers
    picks                  host only: whether the result is one of the elements, so that order decides between zeros

Windows are seeded from their first real element, so no operator needs a neutral value. Comparisons are written so that
NaN propagates (never the builtins that choose the larger or smaller of two values).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LOW = 0xFFFFFFFF


def lowest(dtype):
    """The least value of a dtype."""
    return dtype.type(-np.inf) if dtype.kind == "f" else dtype.type(np.iinfo(dtype).min)


class Max(NamedTuple):
    """Largest element. The first of equal ones wins; NaN beats everything, the last NaN the others."""

    picks = True

    @staticmethod
    def accumulator(loaded):
        return loaded

    @staticmethod
    def neutral(loaded):
        return lowest(loaded)

    @staticmethod
    def seed(red, v, at):
        return v

    @staticmethod
    def combine(red, a, b):
        # Two selects rather than one with `or`: the first compiles to a single max instruction.
        larger = b if b > a else a
        return b if b != b else larger

    @staticmethod
    def finish(red, acc, count):
        return acc


class ArgMax(NamedTuple):
    """Largest element and its position, by the same rule as Max."""

    @staticmethod
    def accumulator(loaded):
        return None

    @staticmethod
    def seed(red, v, at):
        return (v, at)

    @staticmethod
    def combine(red, a, b):
        return b if (b[0] > a[0] or b[0] != b[0]) else a

    @staticmethod
    def finish(red, acc, count):
        return acc


class Mean(NamedTuple):
    """Mean in float32, for windows so small that its roundings do not add up."""

    picks = False

    @staticmethod
    def accumulator(loaded):
        return np.dtype(np.float32)

    @staticmethod
    def neutral(loaded):
        return np.float32(-0.0)

    @staticmethod
    def seed(red, v, at):
        return np.float32(v)

    @staticmethod
    def combine(red, a, b):
        return a + b

    @staticmethod
    def finish(red, acc, count):
        return acc / np.float32(count)


class MeanWide(NamedTuple):
    """Mean accumulated in float64: of float64, and exact enough for float32 and halves at any window size."""

    picks = False

    @staticmethod
    def accumulator(loaded):
        return np.dtype(np.float64)

    @staticmethod
    def neutral(loaded):
        return np.float64(-0.0)

    @staticmethod
    def seed(red, v, at):
        return np.float64(v)

    @staticmethod
    def combine(red, a, b):
        return a + b

    @staticmethod
    def finish(red, acc, count):
        return acc / np.float64(count)


class MeanNarrowed(NamedTuple):
    """MeanWide for a result of at most 32 bits: times the reciprocal, whose error is lost when the result is narrowed.

    Dividing eight float64 takes 16 cycles, which is more than all the rest of a 3x3 mean.
    """

    picks = False

    @staticmethod
    def accumulator(loaded):
        return np.dtype(np.float64)

    @staticmethod
    def neutral(loaded):
        return np.float64(-0.0)

    @staticmethod
    def seed(red, v, at):
        return np.float64(v)

    @staticmethod
    def combine(red, a, b):
        return a + b

    @staticmethod
    def finish(red, acc, count):
        return np.float32(acc * (1.0 / np.float64(count)))


class MeanCompensated(NamedTuple):
    """Mean in float32 with the rounding errors summed beside it (Knuth's two-sum): no float64 on GPUs that lack it."""

    @staticmethod
    def accumulator(loaded):
        return None

    @staticmethod
    def seed(red, v, at):
        return (np.float32(v), np.float32(-0.0))  # not 0.0: compilers drop the addition of -0.0

    @staticmethod
    def combine(red, a, b):
        s = a[0] + b[0]
        t = s - a[0]
        e = (a[0] - (s - t)) + (b[0] - t)
        return (s, e + (a[1] + b[1]))

    @staticmethod
    def finish(red, acc, count):
        s = acc[0] + acc[1]
        # Past infinity the error term is inf - inf: the plain sum is the answer there.
        return (s if s == s else acc[0]) / np.float32(count)


class MeanInt32(NamedTuple):
    """Mean of short integers: exact int32 sum below 2**23, one float32 division."""

    picks = False

    @staticmethod
    def accumulator(loaded):
        return np.dtype(np.int32)

    @staticmethod
    def neutral(loaded):
        return np.int32(0)

    @staticmethod
    def seed(red, v, at):
        return np.int32(v)

    @staticmethod
    def combine(red, a, b):
        return np.int32(a + b)

    @staticmethod
    def finish(red, acc, count):
        return np.float32(acc) / np.float32(count)


class MeanInt64(NamedTuple):
    """Mean of integers: exact int64 sum below 2**52, one float64 division."""

    picks = False

    @staticmethod
    def accumulator(loaded):
        return np.dtype(np.int64)

    @staticmethod
    def neutral(loaded):
        return np.int64(0)

    @staticmethod
    def seed(red, v, at):
        return np.int64(v)

    @staticmethod
    def combine(red, a, b):
        return a + b

    @staticmethod
    def finish(red, acc, count):
        return np.float64(acc) / np.float64(count)


def split_signed(v):
    """An integer as (high, low) with v = high * 2**32 + low and 0 <= low < 2**32."""
    w = np.int64(v)
    return (w >> np.int64(32), w & np.int64(LOW))


def split_unsigned(v):
    """The same for uint64, whose upper half does not fit an int64."""
    w = np.uint64(v)
    return (np.int64(w >> np.uint64(32)), np.int64(w & np.uint64(LOW)))


def divide_exact(acc, count):
    """(high, low) / count -> quotient (high, low) rounded down and remainder, divisor positive; all exact."""
    hi, lo, n = acc[0], acc[1], np.int64(count)
    if n < 0:
        hi, lo, n = -hi, -lo, -n
    hi = hi + (lo >> np.int64(32))
    lo = lo & np.int64(LOW)
    q1 = hi // n
    rest = ((hi - q1 * n) << np.int64(32)) + lo
    q2 = rest // n
    return q1, q2, rest - q2 * n, n


def mean_exact(acc, count):
    """Exact sum / count as float64, rounded once where the sum fits 53 bits, and by a hair more beyond."""
    hi, lo = acc[0] + (acc[1] >> np.int64(32)), acc[1] & np.int64(LOW)
    sign = np.float64(1.0)
    if hi < 0:
        hi, lo, sign = -hi, -lo, np.float64(-1.0)
        hi, lo = hi + (lo >> np.int64(32)), lo & np.int64(LOW)
    if hi < np.int64(2**21):
        return sign * (np.float64((hi << np.int64(32)) + lo) / np.float64(count))
    if count < 0:
        sign, count = -sign, -count
    q1, q2, rest, n = divide_exact((hi, lo), count)
    return sign * (np.float64(q1) * 4294967296.0 + (np.float64(q2) + np.float64(rest) / np.float64(n)))


def round_exact(acc, count):
    """Exact sum / count rounded half to even, as (high, low)."""
    q1, q2, rest, n = divide_exact(acc, count)
    twice = rest - (n - rest)
    if twice > 0 or (twice == 0 and (q2 & np.int64(1)) == 1):
        q2 = q2 + np.int64(1)
    return (q1 + (q2 >> np.int64(32)), q2 & np.int64(LOW))


class MeanExact(NamedTuple):
    """Mean of 64-bit integers, and of more integers than an int64 sum holds: the sum is kept in two halves."""

    @staticmethod
    def accumulator(loaded):
        return None

    @staticmethod
    def seed(red, v, at):
        return split_signed(v)

    @staticmethod
    def combine(red, a, b):
        return (a[0] + b[0], a[1] + b[1])

    @staticmethod
    def finish(red, acc, count):
        return mean_exact(acc, count)


class MeanExactUnsigned(NamedTuple):
    """MeanExact of uint64."""

    @staticmethod
    def accumulator(loaded):
        return None

    @staticmethod
    def seed(red, v, at):
        return split_unsigned(v)

    @staticmethod
    def combine(red, a, b):
        return (a[0] + b[0], a[1] + b[1])

    @staticmethod
    def finish(red, acc, count):
        return mean_exact(acc, count)


class MeanRounded(NamedTuple):
    """MeanExact for an integer result."""

    @staticmethod
    def accumulator(loaded):
        return None

    @staticmethod
    def seed(red, v, at):
        return split_signed(v)

    @staticmethod
    def combine(red, a, b):
        return (a[0] + b[0], a[1] + b[1])

    @staticmethod
    def finish(red, acc, count):
        return round_exact(acc, count)


class MeanRoundedUnsigned(NamedTuple):
    """MeanExact of uint64 for an integer result."""

    @staticmethod
    def accumulator(loaded):
        return None

    @staticmethod
    def seed(red, v, at):
        return split_unsigned(v)

    @staticmethod
    def combine(red, a, b):
        return (a[0] + b[0], a[1] + b[1])

    @staticmethod
    def finish(red, acc, count):
        return round_exact(acc, count)


def max_reducer(dtype, out_dtype, taps, indices, wide):
    """The row for "max": any dtype as it is."""
    return ArgMax() if indices else Max()


def mean_reducer(dtype, out_dtype, taps, indices, wide):
    """The row for "avg": the cheapest accumulator that keeps the accuracy rule.

    `taps` is the largest number of elements in a window (or the divisor, if that is larger); `wide` says that float64
    arithmetic is cheap on this target.
    """
    if dtype.kind in "biu":
        largest = taps * (1 if dtype.kind == "b" else 2 ** (8 * dtype.itemsize))
        if largest <= 2**23 and out_dtype.itemsize <= 4:
            return MeanInt32()
        if largest <= 2**52:
            return MeanInt64()
        unsigned = dtype.kind == "u" and dtype.itemsize == 8
        if out_dtype.kind in "iu":
            return MeanRoundedUnsigned() if unsigned else MeanRounded()
        return MeanExactUnsigned() if unsigned else MeanExact()
    if dtype.itemsize == 8 or out_dtype.itemsize == 8 or out_dtype.kind in "iu":
        return MeanWide()
    # Four taps are summed as (a + b) + (c + d): two roundings. A half's 11 bits leave room for 64 float32 roundings.
    if taps <= (4 if dtype.itemsize == 4 else 64):
        return Mean()
    return MeanNarrowed() if wide else MeanCompensated()


EXACT_PAIRS = (MeanRounded, MeanRoundedUnsigned)  # they finish with a pair (high, low)

OPERATORS = {"max": max_reducer, "avg": mean_reducer}
