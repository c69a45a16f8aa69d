"""What the CUDA engines add to the operators: neutral elements, accumulators' storage, and reduction in any order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import reducers


class MaxAnyOrder(NamedTuple):
    """Max whose elements may come in any order: of equal ones (0.0 and -0.0) the one at the lower position wins."""

    @staticmethod
    def seed(red, v, at):
        return (v, at)

    @staticmethod
    def combine(red, a, b):
        return b if (b[0] > a[0] or (b[0] == a[0] and b[1] < a[1]) or b[0] != b[0]) else a

    @staticmethod
    def finish(red, acc, count):
        return acc[0]


class ArgMaxAnyOrder(NamedTuple):
    """ArgMax whose elements may come in any order: the first of equal ones wins, and of NaNs the last."""

    @staticmethod
    def seed(red, v, at):
        return (v, at)

    @staticmethod
    def combine(red, a, b):
        if b[0] != b[0]:
            return b if (a[0] == a[0] or b[1] > a[1]) else a
        return b if (b[0] > a[0] or (b[0] == a[0] and b[1] < a[1])) else a

    @staticmethod
    def finish(red, acc, count):
        return acc


def any_order(red, dtype):
    """The reducer that gives this one's result whatever the order; None where there is none."""
    if isinstance(red, reducers.Max):
        return MaxAnyOrder() if dtype.kind not in "biu" else red
    if isinstance(red, reducers.ArgMax):
        return ArgMaxAnyOrder()
    return red if type(red).__name__.startswith("Mean") else None


def neutral(red, dtype):
    """The accumulator that changes no other, for taps that are absent; None where there is none.

    -0.0 and not 0.0 for sums, because 0.0 would turn the sum of nothing but -0.0 around.
    """
    if isinstance(red, reducers.Max):
        if dtype.kind == "b":
            return np.uint8(0)
        if dtype.kind in "iu":
            return dtype.type(np.iinfo(dtype).min)
        return np.float64(-np.inf) if dtype.itemsize == 8 else np.float32(-np.inf)
    if isinstance(red, reducers.MeanCompensated):
        return (np.float32(-0.0), np.float32(-0.0))
    simple = {
        reducers.Mean: np.float32(-0.0),
        reducers.MeanWide: np.float64(-0.0),
        reducers.MeanInt32: np.int32(0),
        reducers.MeanInt64: np.int64(0),
    }
    return simple.get(type(red))


def accumulator(red, sample, index_type):
    """The NumPy types of an accumulator's parts, one or two; `sample` is a decoded element."""
    with np.errstate(all="ignore"):
        acc = type(red).seed(red, sample, index_type(0))
    parts = acc if isinstance(acc, tuple) else (acc,)
    return tuple(np.asarray(p).dtype.type for p in parts)


# Accumulators in arrays: one array for each part.


def keep_one(first, second, i, acc):
    """Store an accumulator of one part."""
    first[i] = acc


def keep_two(first, second, i, acc):
    """Store an accumulator of two parts."""
    first[i] = acc[0]
    second[i] = acc[1]


def kept_one(first, second, i):
    """The accumulator of one part at i."""
    return first[i]


def kept_two(first, second, i):
    """The accumulator of two parts at i."""
    return (first[i], second[i])


STORAGE = {1: {"keep": keep_one, "kept": kept_one}, 2: {"keep": keep_two, "kept": kept_two}}
