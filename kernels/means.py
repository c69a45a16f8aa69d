"""Averages: one row for each accumulator, from the cheapest to the exact."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .exact import mean_exact, round_exact, split_signed, split_unsigned

KNOWN = 2**62  # beside a number of NaN: there is an element that is none


def shift_of(count):
    """log2 of a divisor of 1 to 16, -1 for any other: compared one by one, so that a constant costs nothing."""
    if count == 1:
        return 0
    if count == 2:
        return 1
    if count == 4:
        return 2
    if count == 8:
        return 3
    return 4 if count == 16 else -1


def nearest_even(v):
    """A float32 below 2**22 as an int32, rounded half to even: adding 1.5 * 2**23 leaves no bits for fractions."""
    return np.int32((np.float32(v) + np.float32(12582912.0)) - np.float32(12582912.0))


class Mean(NamedTuple):
    """Mean in float32, for windows so small that its roundings do not add up."""

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
    def neutral(loaded):
        return (np.float32(-0.0), np.float32(-0.0))

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


class MeanInt16(NamedTuple):
    """Mean of bytes: exact int16 sum below 2**15, one float32 division."""

    @staticmethod
    def accumulator(loaded):
        return np.dtype(np.int16)

    @staticmethod
    def neutral(loaded):
        return np.int16(0)

    @staticmethod
    def seed(red, v, at):
        return np.int16(v)

    @staticmethod
    def combine(red, a, b):
        return np.int16(a + b)

    @staticmethod
    def finish(red, acc, count):
        return np.float32(acc) / np.float32(count)


class MeanInt32(NamedTuple):
    """Mean of short integers: exact int32 sum below 2**23, one float32 division."""

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


class MeanInt16Rounded(NamedTuple):
    """MeanInt16 for an integer result: where the divisor is a power of two, shifts of 16 bits do."""

    gives = "whole"
    accumulator = staticmethod(MeanInt16.accumulator)
    neutral = staticmethod(MeanInt16.neutral)
    seed = staticmethod(MeanInt16.seed)
    combine = staticmethod(MeanInt16.combine)

    @staticmethod
    def finish(red, acc, count):
        shift = shift_of(count)
        if shift < 0:
            return np.int16(nearest_even(np.float32(acc) / np.float32(count)))
        less = np.int16((1 << shift >> 1) - 1) if shift > 0 else np.int16(0)
        odd = np.int16(np.int16(acc >> shift) & np.int16(1)) if shift > 0 else np.int16(0)
        return np.int16(np.int16(np.int16(acc + less) + odd) >> shift)


class MeanInt32Rounded(NamedTuple):
    """The same for MeanInt32."""

    gives = "whole"
    accumulator = staticmethod(MeanInt32.accumulator)
    neutral = staticmethod(MeanInt32.neutral)
    seed = staticmethod(MeanInt32.seed)
    combine = staticmethod(MeanInt32.combine)

    @staticmethod
    def finish(red, acc, count):
        shift = shift_of(count)
        if shift < 0:
            return nearest_even(np.float32(acc) / np.float32(count))
        less = np.int32((1 << shift >> 1) - 1) if shift > 0 else np.int32(0)
        odd = np.int32(np.int32(acc >> shift) & np.int32(1)) if shift > 0 else np.int32(0)
        return np.int32(np.int32(np.int32(acc + less) + odd) >> shift)


class MeanInt64(NamedTuple):
    """Mean of integers: exact int64 sum below 2**52, one float64 division."""

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

    gives = "pair"

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

    gives = "pair"

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


class MeanKnown(NamedTuple):
    """Mean of the elements that are not NaN: sum, and the number of NaN with a flag for one element that is none."""

    @staticmethod
    def accumulator(loaded):
        return None

    @staticmethod
    def neutral(loaded):
        return (np.float64(-0.0), np.int64(0))

    @staticmethod
    def seed(red, v, at):
        return (np.float64(v), np.int64(KNOWN)) if v == v else (np.float64(-0.0), np.int64(1))

    @staticmethod
    def combine(red, a, b):
        known = (a[1] | b[1]) & np.int64(KNOWN)
        return (a[0] + b[0], ((a[1] & np.int64(KNOWN - 1)) + (b[1] & np.int64(KNOWN - 1))) | known)

    @staticmethod
    def finish(red, acc, count):
        if acc[1] < np.int64(KNOWN):
            return np.float64(np.nan)
        return acc[0] / np.float64(np.int64(count) - (acc[1] - np.int64(KNOWN)))

    @staticmethod
    def share(red, acc, count):
        return np.int64(count) - (acc[1] - np.int64(KNOWN)) if acc[1] >= np.int64(KNOWN) else np.int64(0)


class MeanKnownOver(NamedTuple):
    """MeanKnown with a divisor of the user's, from which nothing is taken off."""

    @staticmethod
    def accumulator(loaded):
        return None

    @staticmethod
    def neutral(loaded):
        return (np.float64(-0.0), np.int64(0))

    @staticmethod
    def seed(red, v, at):
        return (np.float64(v), np.int64(1)) if v == v else (np.float64(-0.0), np.int64(0))

    @staticmethod
    def combine(red, a, b):
        return (a[0] + b[0], a[1] | b[1])

    @staticmethod
    def finish(red, acc, count):
        return acc[0] / np.float64(count) if acc[1] > 0 else np.float64(np.nan)

    @staticmethod
    def share(red, acc, count):
        return np.int64(count) if acc[1] > 0 else np.int64(0)


def mean_reducer(wanted):
    """The row for "avg": the cheapest accumulator that keeps the accuracy rule."""
    dtype, out_dtype, taps = wanted.dtype, wanted.out_dtype, wanted.taps
    if wanted.omit:
        return MeanKnownOver() if wanted.override else MeanKnown()
    if dtype.kind in "biu":
        largest = taps * (1 if dtype.kind == "b" else 2 ** (8 * dtype.itemsize))
        rounded = out_dtype.kind in "iu"
        if largest <= 2**15 and out_dtype.itemsize <= 4:
            return MeanInt16Rounded() if rounded else MeanInt16()
        if largest <= 2**23 and out_dtype.itemsize <= 4:
            return MeanInt32Rounded() if rounded else MeanInt32()
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
    return MeanNarrowed() if wanted.wide else MeanCompensated()
