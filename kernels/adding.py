"""What rows that add have in common, shared by name: accumulators, neutral values, seeds, combines, finishes."""

from __future__ import annotations

import numpy as np


def in_float32(loaded):
    """A float32 accumulator."""
    return np.dtype(np.float32)


def in_float64(loaded):
    """A float64 accumulator."""
    return np.dtype(np.float64)


def in_int64(loaded):
    """An int64 accumulator."""
    return np.dtype(np.int64)


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


def zero_int64(loaded):
    """0 in int64."""
    return np.int64(0)


def single(red, v, at):
    """Seed in float32."""
    return np.float32(v)


def double(red, v, at):
    """Seed in float64."""
    return np.float64(v)


def whole(red, v, at):
    """Seed in int64."""
    return np.int64(v)


def compensated(red, v, at):
    """Seed of a sum and its error, -0.0 because compilers drop the addition of it."""
    return (np.float32(v), np.float32(-0.0))


def add(red, a, b):
    """Combine."""
    return a + b


def two_sum(red, a, b):
    """Combine a sum and the rounding errors beside it (Knuth): no float64 on GPUs that lack it."""
    s = a[0] + b[0]
    t = s - a[0]
    e = (a[0] - (s - t)) + (b[0] - t)
    return (s, e + (a[1] + b[1]))


def few_halves(red, a, b):
    """Combine a few halves without their errors: 16 roundings of 24 bits leave nothing that 11 bits would show."""
    return (a[0] + b[0], np.float32(-0.0))


def total(red, acc, count):
    """Finish."""
    return acc


def total_of_pair(red, acc, count):
    """Finish a sum and its error. Past infinity the error is inf - inf: the plain sum is the answer there."""
    s = acc[0] + acc[1]
    return s if s == s else acc[0]


def size32(red, v, at):
    """Seed: |v| in float32."""
    return abs(np.float32(v))


def size64(red, v, at):
    """Seed: |v| in float64; converted first, the least integer has no absolute value."""
    return abs(np.float64(v))
