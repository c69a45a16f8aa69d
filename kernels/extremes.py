"""Largest elements: the rows with and without positions, for elements in row-major order and in any order.

Comparisons are written so that NaN propagates (never the builtins that choose the larger or smaller of two values).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


def lowest(dtype):
    """The least value of a dtype."""
    return dtype.type(-np.inf) if dtype.kind == "f" else dtype.type(np.iinfo(dtype).min)


class Max(NamedTuple):
    """Largest element. The first of equal ones wins; NaN beats everything, the last NaN the others."""

    gives = "element"
    picks = True

    @staticmethod
    def accumulator(loaded):
        return loaded

    @staticmethod
    def unordered(loaded):
        return MaxAnyOrder() if loaded.kind == "f" else Max()

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

    gives = "element"

    @staticmethod
    def accumulator(loaded):
        return None

    @staticmethod
    def unordered(loaded):
        return ArgMaxAnyOrder()

    @staticmethod
    def absent(loaded):
        return lowest(loaded)

    @staticmethod
    def seed(red, v, at):
        return (v, at)

    @staticmethod
    def combine(red, a, b):
        return b if (b[0] > a[0] or b[0] != b[0]) else a

    @staticmethod
    def finish(red, acc, count):
        return acc


class MaxAnyOrder(NamedTuple):
    """Max whose elements may come in any order: of equal ones (0.0 and -0.0) the one at the lower position wins."""

    gives = "element"

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

    gives = "element"

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


def max_reducer(wanted):
    """The row for "max": any dtype as it is."""
    return ArgMax() if wanted.indices else Max()
