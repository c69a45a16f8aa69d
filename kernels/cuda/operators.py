"""What the CUDA engines add to the operators: how accumulators are stored in arrays."""

from __future__ import annotations

import numpy as np


def accumulator(red, sample, index_type):
    """The NumPy types of an accumulator's parts, one or two; `sample` is a decoded element."""
    if hasattr(red, "parts"):  # a user's reducer, which may not know the sample
        return red.parts
    with np.errstate(all="ignore"):
        acc = type(red).seed(red, sample, index_type(0))
    return tuple(np.asarray(p).dtype.type for p in as_parts(acc))


def as_parts(acc):
    """An accumulator as a tuple."""
    return acc if isinstance(acc, tuple) else (acc,)


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
