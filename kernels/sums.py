"""Sums: one row for each accumulator, and for each with NaN left out. What rows share is shared by name."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .means import mean_reducer


def in_float32(loaded):
    """A float32 accumulator."""
    return np.dtype(np.float32)


def in_float64(loaded):
    """A float64 accumulator."""
    return np.dtype(np.float64)


def in_pairs(loaded):
    """An accumulator that is a tuple."""
    return


def zero32(loaded):
    """-0.0 and not 0.0, which would turn the sum of nothing but -0.0 around."""
    return np.float32(-0.0)


def zero64(loaded):
    """The same in float64."""
    return np.float64(-0.0)


def zero_pair(loaded):
    """The same for a sum and its error."""
    return (np.float32(-0.0), np.float32(-0.0))


def single(red, v, at):
    """Seed in float32."""
    return np.float32(v)


def double(red, v, at):
    """Seed in float64."""
    return np.float64(v)


def compensated(red, v, at):
    """Seed of a sum and its error, -0.0 because compilers drop the addition of it."""
    return (np.float32(v), np.float32(-0.0))


def single_known(red, v, at):
    """Seed in float32, NaN as nothing."""
    return np.float32(v) if v == v else np.float32(0.0)


def double_known(red, v, at):
    """Seed in float64, NaN as nothing."""
    return np.float64(v) if v == v else np.float64(0.0)


def compensated_known(red, v, at):
    """Seed of a sum and its error, NaN as nothing."""
    return (np.float32(v) if v == v else np.float32(0.0), np.float32(-0.0))


def add(red, a, b):
    """Combine."""
    return a + b


def two_sum(red, a, b):
    """Combine a sum and the rounding errors beside it (Knuth): no float64 on GPUs that lack it."""
    s = a[0] + b[0]
    t = s - a[0]
    e = (a[0] - (s - t)) + (b[0] - t)
    return (s, e + (a[1] + b[1]))


def total(red, acc, count):
    """Finish."""
    return acc


def total_of_pair(red, acc, count):
    """Finish a sum and its error. Past infinity the error is inf - inf: the plain sum is the answer there."""
    s = acc[0] + acc[1]
    return s if s == s else acc[0]


class Sum(NamedTuple):
    """Sum in float32, for windows so small that its roundings do not add up."""

    accumulator = staticmethod(in_float32)
    neutral = staticmethod(zero32)
    seed = staticmethod(single)
    combine = staticmethod(add)
    finish = staticmethod(total)


class SumWide(NamedTuple):
    """Sum in float64."""

    accumulator = staticmethod(in_float64)
    neutral = staticmethod(zero64)
    seed = staticmethod(double)
    combine = staticmethod(add)
    finish = staticmethod(total)


class SumCompensated(NamedTuple):
    """Sum in float32 with its rounding errors beside it."""

    accumulator = staticmethod(in_pairs)
    neutral = staticmethod(zero_pair)
    seed = staticmethod(compensated)
    combine = staticmethod(two_sum)
    finish = staticmethod(total_of_pair)


class SumKnown(NamedTuple):
    """Sum without NaN."""

    accumulator = staticmethod(in_float32)
    neutral = staticmethod(zero32)
    seed = staticmethod(single_known)
    combine = staticmethod(add)
    finish = staticmethod(total)


class SumKnownWide(NamedTuple):
    """SumWide without NaN."""

    accumulator = staticmethod(in_float64)
    neutral = staticmethod(zero64)
    seed = staticmethod(double_known)
    combine = staticmethod(add)
    finish = staticmethod(total)


class SumKnownCompensated(NamedTuple):
    """SumCompensated without NaN."""

    accumulator = staticmethod(in_pairs)
    neutral = staticmethod(zero_pair)
    seed = staticmethod(compensated_known)
    combine = staticmethod(two_sum)
    finish = staticmethod(total_of_pair)


class SumInt64(NamedTuple):
    """Sum of signed integers as int64: exact, modulo 2**64 where 64-bit elements exceed it."""

    gives = "element"
    finish = staticmethod(total)

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


class SumUint64(NamedTuple):
    """Sum of unsigned integers as uint64: exact, modulo 2**64 where 64-bit elements exceed it."""

    gives = "element"
    finish = staticmethod(total)

    @staticmethod
    def accumulator(loaded):
        return np.dtype(np.uint64)

    @staticmethod
    def neutral(loaded):
        return np.uint64(0)

    @staticmethod
    def seed(red, v, at):
        return np.uint64(v)

    @staticmethod
    def combine(red, a, b):
        return a + b


def sum_reducer(wanted):
    """The row for "sum": the cheapest accumulator that keeps the accuracy rule of averages."""
    dtype, out_dtype = wanted.dtype, wanted.out_dtype
    if dtype.kind in "biu":
        if out_dtype == (np.uint64 if dtype.kind == "u" else np.int64):
            return SumUint64() if dtype.kind == "u" else SumInt64()
        return mean_reducer(wanted)  # a mean whose divisor is 1
    if dtype.itemsize == 8 or out_dtype.itemsize == 8 or out_dtype.kind in "iu":
        return SumKnownWide() if wanted.omit else SumWide()
    # Four taps are summed as (a + b) + (c + d): two roundings. A half's 11 bits leave room for 64 float32 roundings.
    if wanted.taps <= (4 if dtype.itemsize == 4 else 64):
        return SumKnown() if wanted.omit else Sum()
    if wanted.wide:
        return SumKnownWide() if wanted.omit else SumWide()
    return SumKnownCompensated() if wanted.omit else SumCompensated()
