"""Sums: one row for each accumulator, and for each with NaN left out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import adding
from .means import mean_reducer


def single_known(red, v, at):
    """Seed in float32, NaN as nothing."""
    return np.float32(v) if v == v else np.float32(0.0)


def double_known(red, v, at):
    """Seed in float64, NaN as nothing."""
    return np.float64(v) if v == v else np.float64(0.0)


def compensated_known(red, v, at):
    """Seed of a sum and its error, NaN as nothing."""
    return (np.float32(v) if v == v else np.float32(0.0), np.float32(-0.0))


class Sum(NamedTuple):
    """Sum in float32, for windows so small that its roundings do not add up."""

    accumulator = staticmethod(adding.in_float32)
    neutral = staticmethod(adding.zero32)
    seed = staticmethod(adding.single)
    combine = staticmethod(adding.add)
    finish = staticmethod(adding.total)


class SumWide(NamedTuple):
    """Sum in float64."""

    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    seed = staticmethod(adding.double)
    combine = staticmethod(adding.add)
    finish = staticmethod(adding.total)


class SumCompensated(NamedTuple):
    """Sum in float32 with its rounding errors beside it."""

    accumulator = staticmethod(adding.in_pairs)
    neutral = staticmethod(adding.zero_pair)
    seed = staticmethod(adding.compensated)
    combine = staticmethod(adding.two_sum)
    finish = staticmethod(adding.total_of_pair)


class SumHalves(NamedTuple):
    """SumCompensated of halves, stored as such."""

    accumulator = staticmethod(SumCompensated.accumulator)
    neutral = staticmethod(SumCompensated.neutral)
    seed = staticmethod(SumCompensated.seed)
    combine = staticmethod(SumCompensated.combine)
    few = staticmethod(adding.few_halves)
    finish = staticmethod(SumCompensated.finish)


class SumKnown(NamedTuple):
    """Sum without NaN."""

    accumulator = staticmethod(adding.in_float32)
    neutral = staticmethod(adding.zero32)
    seed = staticmethod(single_known)
    combine = staticmethod(adding.add)
    finish = staticmethod(adding.total)


class SumKnownWide(NamedTuple):
    """SumWide without NaN."""

    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    seed = staticmethod(double_known)
    combine = staticmethod(adding.add)
    finish = staticmethod(adding.total)


class SumKnownCompensated(NamedTuple):
    """SumCompensated without NaN."""

    accumulator = staticmethod(adding.in_pairs)
    neutral = staticmethod(adding.zero_pair)
    seed = staticmethod(compensated_known)
    combine = staticmethod(adding.two_sum)
    finish = staticmethod(adding.total_of_pair)


class SumInt64(NamedTuple):
    """Sum of signed integers as int64: exact, modulo 2**64 where 64-bit elements exceed it."""

    gives = "element"
    accumulator = staticmethod(adding.in_int64)
    neutral = staticmethod(adding.zero_int64)
    seed = staticmethod(adding.whole)
    combine = staticmethod(adding.add)
    finish = staticmethod(adding.total)


class SumUint64(NamedTuple):
    """Sum of unsigned integers as uint64: exact, modulo 2**64 where 64-bit elements exceed it."""

    gives = "element"
    combine = staticmethod(adding.add)
    finish = staticmethod(adding.total)

    @staticmethod
    def accumulator(loaded):
        return np.dtype(np.uint64)

    @staticmethod
    def neutral(loaded):
        return np.uint64(0)

    @staticmethod
    def seed(red, v, at):
        return np.uint64(v)


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
    if wanted.omit:
        return SumKnownCompensated()
    return SumHalves() if dtype.itemsize == out_dtype.itemsize == 2 else SumCompensated()
