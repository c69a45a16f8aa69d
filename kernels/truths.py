"""Whether any or all elements are different from zero; NaN is (as NumPy has it)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


def flags(loaded):
    """Accumulators are bytes, 0 or 1."""
    return np.dtype(np.uint8)


def nonzero(red, v, at):
    """Seed: 1 for anything but zero."""
    return np.uint8(1) if v != 0 else np.uint8(0)


def flag(red, acc, count):
    """Finish: the byte that stands for a bool."""
    return acc


class Any(NamedTuple):
    """Whether any element is different from zero."""

    gives = "element"
    accumulator = staticmethod(flags)
    seed = staticmethod(nonzero)
    finish = staticmethod(flag)

    @staticmethod
    def neutral(loaded):
        return np.uint8(0)

    @staticmethod
    def combine(red, a, b):
        return np.uint8(a | b)


class All(NamedTuple):
    """Whether all elements are different from zero."""

    gives = "element"
    accumulator = staticmethod(flags)
    seed = staticmethod(nonzero)
    finish = staticmethod(flag)

    @staticmethod
    def neutral(loaded):
        return np.uint8(1)

    @staticmethod
    def combine(red, a, b):
        return np.uint8(a & b)


def any_reducer(wanted):
    """The row for "any"."""
    return Any()


def all_reducer(wanted):
    """The row for "all"."""
    return All()
