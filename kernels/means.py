"""Averages: one row for each accumulator, from the cheapest to the exact."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import adding
from .integer_means import integer_mean_reducer

KNOWN = 2**62  # beside a number of NaN: there is an element that is none


def known_nothing(loaded):
    """No element: a sum, and a number or a flag beside it."""
    return (np.float64(-0.0), np.int64(0))


def known_one(v):
    """How an element counts: the flag, or as one NaN."""
    return np.int64(KNOWN) if v == v else np.int64(1)


def known_both(a, b):
    """Two numbers of NaN with their flags."""
    flag = (a | b) & np.int64(KNOWN)
    return ((a & np.int64(KNOWN - 1)) + (b & np.int64(KNOWN - 1))) | flag


def known_divisor(acc, count):
    """What is left of a divisor without the NaN, 0 where there is nothing else."""
    return np.int64(count) - (acc - np.int64(KNOWN)) if acc >= np.int64(KNOWN) else np.int64(0)


def quotient_of(total, rest, count):
    """(total + rest) / count in float32, where `rest` is what the total lost by rounding, or NaN beside infinity."""
    mean = total / np.float32(count)
    whole = mean + rest * (np.float32(1.0) / np.float32(count))
    return whole if whole == whole else mean


class Mean(NamedTuple):
    """Mean in float32, for windows so small that its roundings do not add up."""

    accumulator = staticmethod(adding.in_float32)
    neutral = staticmethod(adding.zero32)
    seed = staticmethod(adding.single)
    combine = staticmethod(adding.add)

    @staticmethod
    def finish(red, acc, count):
        return acc / np.float32(count)


class MeanShort(NamedTuple):
    """Mean of halves, stored as such: times the reciprocal, whose error is lost when the result is narrowed."""

    accumulator = staticmethod(adding.in_float32)
    neutral = staticmethod(adding.zero32)
    seed = staticmethod(adding.single)
    combine = staticmethod(adding.add)

    @staticmethod
    def finish(red, acc, count):
        return acc * (np.float32(1.0) / np.float32(count))


class MeanWide(NamedTuple):
    """Mean accumulated in float64: of float64, and exact enough for float32 and halves at any window size."""

    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    seed = staticmethod(adding.double)
    combine = staticmethod(adding.add)

    @staticmethod
    def finish(red, acc, count):
        return acc / np.float64(count)


class MeanNarrowed(NamedTuple):
    """MeanWide for a result of at most 32 bits: times the reciprocal, whose error is lost when the result is narrowed.

    Dividing eight float64 takes 16 cycles, which is more than all the rest of a 3x3 mean.
    """

    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    seed = staticmethod(adding.double)
    combine = staticmethod(adding.add)

    @staticmethod
    def finish(red, acc, count):
        return np.float32(acc * (1.0 / np.float64(count)))


class MeanCompensated(NamedTuple):
    """Mean in float32 with the rounding errors summed beside it (Knuth's two-sum): no float64 on GPUs that lack it."""

    accumulator = staticmethod(adding.in_pairs)
    neutral = staticmethod(adding.zero_pair)
    seed = staticmethod(adding.compensated)
    combine = staticmethod(adding.two_sum)

    @staticmethod
    def finish(red, acc, count):
        # What the sum of both parts loses by its rounding is divided, too: without, a mean of 625 was 1.07 ulp off on a
        # GPU, so it is 1 at most. Past infinity the error term is inf - inf: the plain sum is the answer there.
        s = acc[0] + acc[1]
        return quotient_of(s if s == s else acc[0], acc[1] - (s - acc[0]), count)


class MeanHalves(NamedTuple):
    """MeanCompensated of halves, stored as such."""

    accumulator = staticmethod(MeanCompensated.accumulator)
    neutral = staticmethod(MeanCompensated.neutral)
    seed = staticmethod(MeanCompensated.seed)
    combine = staticmethod(MeanCompensated.combine)
    few = staticmethod(adding.few_halves)
    finish = staticmethod(MeanCompensated.finish)


class MeanKnown(NamedTuple):
    """Mean of the elements that are not NaN: sum, and the number of NaN with a flag for one element that is none."""

    accumulator = staticmethod(adding.in_pairs)
    neutral = staticmethod(known_nothing)

    @staticmethod
    def seed(red, v, at):
        return (np.float64(v) if v == v else np.float64(-0.0), known_one(v))

    @staticmethod
    def combine(red, a, b):
        return (a[0] + b[0], known_both(a[1], b[1]))

    @staticmethod
    def finish(red, acc, count):
        if acc[1] < np.int64(KNOWN):
            return np.float64(np.nan)
        return acc[0] / np.float64(known_divisor(acc[1], count))


class MeanKnownOver(NamedTuple):
    """MeanKnown with a divisor of the user's, from which nothing is taken off."""

    accumulator = staticmethod(adding.in_pairs)
    neutral = staticmethod(known_nothing)

    @staticmethod
    def seed(red, v, at):
        return (np.float64(v), np.int64(1)) if v == v else (np.float64(-0.0), np.int64(0))

    @staticmethod
    def combine(red, a, b):
        return (a[0] + b[0], a[1] | b[1])

    @staticmethod
    def finish(red, acc, count):
        return acc[0] / np.float64(count) if acc[1] > 0 else np.float64(np.nan)


class KnownDivisor(NamedTuple):
    """What MeanKnown divides by, as a result of its own: gradients divide by it, too."""

    accumulator = staticmethod(adding.in_int64)
    neutral = staticmethod(adding.zero_int64)

    @staticmethod
    def seed(red, v, at):
        return known_one(v)

    @staticmethod
    def combine(red, a, b):
        return known_both(a, b)

    @staticmethod
    def finish(red, acc, count):
        return np.float64(known_divisor(acc, count))


class KnownDivisorOver(NamedTuple):
    """The same of MeanKnownOver."""

    accumulator = staticmethod(KnownDivisor.accumulator)
    neutral = staticmethod(KnownDivisor.neutral)
    seed = staticmethod(KnownDivisor.seed)
    combine = staticmethod(KnownDivisor.combine)

    @staticmethod
    def finish(red, acc, count):
        return np.float64(count) if acc >= np.int64(KNOWN) else np.float64(0.0)


def divisor_reducer(wanted):
    """The row for the divisors of means that omit NaN."""
    return KnownDivisorOver() if wanted.override else KnownDivisor()


def mean_reducer(wanted):
    """The row for "avg": the cheapest accumulator that keeps the accuracy rule."""
    dtype, out_dtype, taps = wanted.dtype, wanted.out_dtype, wanted.taps
    if wanted.omit:
        return MeanKnownOver() if wanted.override else MeanKnown()
    if dtype.kind in "biu":
        return integer_mean_reducer(wanted)
    if dtype.itemsize == 8 or out_dtype.itemsize == 8 or out_dtype.kind in "iu":
        return MeanWide()
    # Four taps are summed as (a + b) + (c + d): two roundings. A half's 11 bits leave room for 64 float32 roundings.
    short = dtype.itemsize == out_dtype.itemsize == 2 and not wanted.wide
    if taps <= (4 if dtype.itemsize == 4 else 64):
        return MeanShort() if short else Mean()
    if wanted.wide:
        return MeanNarrowed()
    return MeanHalves() if short else MeanCompensated()
