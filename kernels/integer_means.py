"""Averages of integers: exact sums, in the narrowest accumulator that holds them, rounded once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import adding
from .exact import mean_exact, round_exact, split_signed, split_unsigned


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


def half_to_even(kind, acc, count):
    """acc / count rounded, in integers of this kind throughout where the divisor is a power of two: fuller vectors."""
    shift = shift_of(count)
    if shift < 0:
        return kind(nearest_even(np.float32(acc) / np.float32(count)))
    less = kind((1 << shift >> 1) - 1) if shift > 0 else kind(0)
    odd = kind(kind(acc >> shift) & kind(1)) if shift > 0 else kind(0)
    return kind(kind(kind(acc + less) + odd) >> shift)


def divided(red, acc, count):
    """Finish by one float32 division."""
    return np.float32(acc) / np.float32(count)


class MeanInt16(NamedTuple):
    """Mean of bytes: exact int16 sum below 2**15, one float32 division."""

    finish = staticmethod(divided)

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


class MeanInt32(NamedTuple):
    """Mean of short integers: exact int32 sum below 2**23, one float32 division."""

    finish = staticmethod(divided)

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


class MeanInt16Rounded(NamedTuple):
    """MeanInt16 for an integer result: where the divisor is a power of two, shifts of 16 bits do."""

    gives = "whole"
    accumulator = staticmethod(MeanInt16.accumulator)
    neutral = staticmethod(MeanInt16.neutral)
    seed = staticmethod(MeanInt16.seed)
    combine = staticmethod(MeanInt16.combine)

    @staticmethod
    def finish(red, acc, count):
        return half_to_even(np.int16, acc, count)


class MeanInt32Rounded(NamedTuple):
    """The same for MeanInt32."""

    gives = "whole"
    accumulator = staticmethod(MeanInt32.accumulator)
    neutral = staticmethod(MeanInt32.neutral)
    seed = staticmethod(MeanInt32.seed)
    combine = staticmethod(MeanInt32.combine)

    @staticmethod
    def finish(red, acc, count):
        return half_to_even(np.int32, acc, count)


class MeanInt64(NamedTuple):
    """Mean of integers: exact int64 sum below 2**52, one float64 division."""

    accumulator = staticmethod(adding.in_int64)
    neutral = staticmethod(adding.zero_int64)
    seed = staticmethod(adding.whole)
    combine = staticmethod(adding.add)

    @staticmethod
    def finish(red, acc, count):
        return np.float64(acc) / np.float64(count)


class MeanExact(NamedTuple):
    """Mean of 64-bit integers, and of more integers than an int64 sum holds: the sum is kept in two halves."""

    accumulator = staticmethod(adding.in_pairs)

    @staticmethod
    def neutral(loaded):
        return (np.int64(0), np.int64(0))

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

    accumulator = staticmethod(MeanExact.accumulator)
    neutral = staticmethod(MeanExact.neutral)
    combine = staticmethod(MeanExact.combine)
    finish = staticmethod(MeanExact.finish)

    @staticmethod
    def seed(red, v, at):
        return split_unsigned(v)


class MeanRounded(NamedTuple):
    """MeanExact for an integer result."""

    gives = "pair"
    accumulator = staticmethod(MeanExact.accumulator)
    neutral = staticmethod(MeanExact.neutral)
    seed = staticmethod(MeanExact.seed)
    combine = staticmethod(MeanExact.combine)

    @staticmethod
    def finish(red, acc, count):
        return round_exact(acc, count)


class MeanRoundedUnsigned(NamedTuple):
    """MeanRounded of uint64."""

    gives = "pair"
    accumulator = staticmethod(MeanExact.accumulator)
    neutral = staticmethod(MeanExact.neutral)
    seed = staticmethod(MeanExactUnsigned.seed)
    combine = staticmethod(MeanExact.combine)
    finish = staticmethod(MeanRounded.finish)


def integer_mean_reducer(wanted):
    """The row for "avg" of integers and bool."""
    dtype, out_dtype, taps = wanted.dtype, wanted.out_dtype, wanted.taps
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
