"""Largest and smallest elements: rows with and without positions, in row-major or any order, NaN counted or omitted.

Comparisons are written so that NaN propagates (never the builtins that choose the larger or smaller of two values).
Rows share their functions: a row is which of them it takes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


def lowest(dtype):
    """The least value of a dtype."""
    return dtype.type(-np.inf) if dtype.kind == "f" else dtype.type(np.iinfo(dtype).min)


def highest(dtype):
    """The greatest value of a dtype."""
    return dtype.type(np.inf) if dtype.kind == "f" else dtype.type(np.iinfo(dtype).max)


def not_a_number(dtype):
    """NaN, which is absent where NaN is omitted."""
    return dtype.type(np.nan)


def as_loaded(loaded):
    """An accumulator that is an element."""
    return loaded


def in_parts(loaded):
    """An accumulator that is a tuple."""
    return


def element(red, v, at):
    """Seed: the element."""
    return v


def placed(red, v, at):
    """Seed: the element and its position."""
    return (v, at)


def whole(red, acc, count):
    """Finish: the accumulator as it is."""
    return acc


def value(red, acc, count):
    """Finish: the element without its position."""
    return acc[0]


# -- combine -----------------------------------------------------------------------------------------------------------


def unless_nan(b, best):
    """b where it is NaN, else the best."""
    return b if b != b else best


def larger(red, a, b):
    """The first of equal ones wins; NaN beats everything, the last NaN the others."""
    # Two selects rather than one with `or`: the first compiles to a single max instruction.
    best = b if b > a else a
    return unless_nan(b, best)


def smaller(red, a, b):
    """`larger`, the other way round."""
    best = b if b < a else a
    return unless_nan(b, best)


def larger_placed(red, a, b):
    """`larger` of elements with positions."""
    return b if (b[0] > a[0] or b[0] != b[0]) else a


def smaller_placed(red, a, b):
    """`smaller` of elements with positions."""
    return b if (b[0] < a[0] or b[0] != b[0]) else a


def larger_any_order(red, a, b):
    """`larger_placed` in any order: of equal ones the one at the lower position wins, of NaNs the last."""
    if b[0] != b[0]:
        return b if (a[0] == a[0] or b[1] > a[1]) else a
    return b if (b[0] > a[0] or (b[0] == a[0] and b[1] < a[1])) else a


def smaller_any_order(red, a, b):
    """`smaller_placed` in any order."""
    if b[0] != b[0]:
        return b if (a[0] == a[0] or b[1] > a[1]) else a
    return b if (b[0] < a[0] or (b[0] == a[0] and b[1] < a[1])) else a


def larger_known(red, a, b):
    """The first of equal ones wins; NaN loses to everything."""
    return b if (b > a or a != a) else a


def smaller_known(red, a, b):
    """`larger_known`, the other way round."""
    return b if (b < a or a != a) else a


def larger_known_placed(red, a, b):
    """`larger_known` of elements with positions: of nothing but NaN the last."""
    return b if (b[0] > a[0] or a[0] != a[0]) else a


def smaller_known_placed(red, a, b):
    """`smaller_known` of elements with positions."""
    return b if (b[0] < a[0] or a[0] != a[0]) else a


def larger_known_any_order(red, a, b):
    """`larger_known_placed` in any order."""
    if a[0] != a[0]:
        return b if (b[0] == b[0] or b[1] > a[1]) else a
    return b if (b[0] > a[0] or (b[0] == a[0] and b[1] < a[1])) else a


def smaller_known_any_order(red, a, b):
    """`smaller_known_placed` in any order."""
    if a[0] != a[0]:
        return b if (b[0] == b[0] or b[1] > a[1]) else a
    return b if (b[0] < a[0] or (b[0] == a[0] and b[1] < a[1])) else a


# -- the largest -------------------------------------------------------------------------------------------------------


class ArgMaxAnyOrder(NamedTuple):
    """ArgMax whose elements may come in any order."""

    gives = "element"
    accumulator = staticmethod(in_parts)
    seed = staticmethod(placed)
    combine = staticmethod(larger_any_order)
    finish = staticmethod(whole)


class MaxAnyOrder(NamedTuple):
    """Max whose elements may come in any order: of equal ones (0.0 and -0.0) the one at the lower position wins."""

    gives = "element"
    accumulator = staticmethod(in_parts)
    seed = staticmethod(placed)
    combine = staticmethod(larger_any_order)
    finish = staticmethod(value)


class ArgMax(NamedTuple):
    """Largest element and its position, by the same rule as Max."""

    gives = "element"
    accumulator = staticmethod(in_parts)
    seed = staticmethod(placed)
    combine = staticmethod(larger_placed)
    finish = staticmethod(whole)

    @staticmethod
    def elements():
        return Max()

    @staticmethod
    def unordered(loaded):
        return ArgMaxAnyOrder()

    @staticmethod
    def absent(loaded):
        return lowest(loaded)


class Max(NamedTuple):
    """Largest element."""

    gives = "element"
    picks = True
    accumulator = staticmethod(as_loaded)
    neutral = staticmethod(lowest)
    seed = staticmethod(element)
    combine = staticmethod(larger)
    finish = staticmethod(whole)

    @staticmethod
    def unordered(loaded):
        return MaxAnyOrder() if loaded.kind == "f" else Max()


class ArgMaxKnownAnyOrder(NamedTuple):
    """ArgMaxKnown whose elements may come in any order."""

    gives = "element"
    accumulator = staticmethod(in_parts)
    seed = staticmethod(placed)
    combine = staticmethod(larger_known_any_order)
    finish = staticmethod(whole)


class MaxKnownAnyOrder(NamedTuple):
    """MaxKnown whose elements may come in any order."""

    gives = "element"
    accumulator = staticmethod(in_parts)
    seed = staticmethod(placed)
    combine = staticmethod(larger_known_any_order)
    finish = staticmethod(value)


class ArgMaxKnown(NamedTuple):
    """Largest element that is not NaN, and its position."""

    gives = "element"
    accumulator = staticmethod(in_parts)
    seed = staticmethod(placed)
    combine = staticmethod(larger_known_placed)
    finish = staticmethod(whole)

    @staticmethod
    def elements():
        return MaxKnown()

    @staticmethod
    def unordered(loaded):
        return ArgMaxKnownAnyOrder()


class MaxKnown(NamedTuple):
    """Largest element that is not NaN."""

    gives = "element"
    picks = True
    accumulator = staticmethod(as_loaded)
    neutral = staticmethod(not_a_number)
    seed = staticmethod(element)
    combine = staticmethod(larger_known)
    finish = staticmethod(whole)

    @staticmethod
    def unordered(loaded):
        return MaxKnownAnyOrder()


# -- the smallest ------------------------------------------------------------------------------------------------------


class ArgMinAnyOrder(NamedTuple):
    """ArgMin whose elements may come in any order."""

    gives = "element"
    accumulator = staticmethod(in_parts)
    seed = staticmethod(placed)
    combine = staticmethod(smaller_any_order)
    finish = staticmethod(whole)


class MinAnyOrder(NamedTuple):
    """Min whose elements may come in any order."""

    gives = "element"
    accumulator = staticmethod(in_parts)
    seed = staticmethod(placed)
    combine = staticmethod(smaller_any_order)
    finish = staticmethod(value)


class ArgMin(NamedTuple):
    """Smallest element and its position, by the same rule as Min."""

    gives = "element"
    accumulator = staticmethod(in_parts)
    seed = staticmethod(placed)
    combine = staticmethod(smaller_placed)
    finish = staticmethod(whole)

    @staticmethod
    def elements():
        return Min()

    @staticmethod
    def unordered(loaded):
        return ArgMinAnyOrder()

    @staticmethod
    def absent(loaded):
        return highest(loaded)


class Min(NamedTuple):
    """Smallest element."""

    gives = "element"
    picks = True
    accumulator = staticmethod(as_loaded)
    neutral = staticmethod(highest)
    seed = staticmethod(element)
    combine = staticmethod(smaller)
    finish = staticmethod(whole)

    @staticmethod
    def unordered(loaded):
        return MinAnyOrder() if loaded.kind == "f" else Min()


class ArgMinKnownAnyOrder(NamedTuple):
    """ArgMinKnown whose elements may come in any order."""

    gives = "element"
    accumulator = staticmethod(in_parts)
    seed = staticmethod(placed)
    combine = staticmethod(smaller_known_any_order)
    finish = staticmethod(whole)


class MinKnownAnyOrder(NamedTuple):
    """MinKnown whose elements may come in any order."""

    gives = "element"
    accumulator = staticmethod(in_parts)
    seed = staticmethod(placed)
    combine = staticmethod(smaller_known_any_order)
    finish = staticmethod(value)


class ArgMinKnown(NamedTuple):
    """Smallest element that is not NaN, and its position."""

    gives = "element"
    accumulator = staticmethod(in_parts)
    seed = staticmethod(placed)
    combine = staticmethod(smaller_known_placed)
    finish = staticmethod(whole)

    @staticmethod
    def elements():
        return MinKnown()

    @staticmethod
    def unordered(loaded):
        return ArgMinKnownAnyOrder()


class MinKnown(NamedTuple):
    """Smallest element that is not NaN."""

    gives = "element"
    picks = True
    accumulator = staticmethod(as_loaded)
    neutral = staticmethod(not_a_number)
    seed = staticmethod(element)
    combine = staticmethod(smaller_known)
    finish = staticmethod(whole)

    @staticmethod
    def unordered(loaded):
        return MinKnownAnyOrder()


def max_reducer(wanted):
    """The row for "max": any dtype as it is."""
    if wanted.omit:
        return ArgMaxKnown() if wanted.indices else MaxKnown()
    return ArgMax() if wanted.indices else Max()


def min_reducer(wanted):
    """The row for "min"."""
    if wanted.omit:
        return ArgMinKnown() if wanted.indices else MinKnown()
    return ArgMin() if wanted.indices else Min()
