"""Operators that need all elements of a window at once: the median and the mode, without a buffer however large it is.

A row of this kind has, instead of a running accumulator,

    select(x, codec, red, box)    the accumulator and the count that `finish` takes, from all elements of a window

which reads the window as often as it must. The median is found as quickselect finds it, but in place: each round counts
the elements below a pivot and takes the middle one of those that are left as the next (about 1.4 log2(n) rounds of one
and a half passes). The mode goes through the different values in ascending order, one pass for each.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any, NamedTuple

import numpy as np

from . import integer_means as integers
from . import means
from .extremes import whole
from .point import combine, decode, seed, span
from .reducers import Wanted


def window_box(base, rule, g, od, oh, ow):
    """The real elements of window (od, oh, ow): where the first lies, how many there are and how far apart, by axis."""
    sd, d0, d1 = span(rule, g.d, od)
    sh, h0, h1 = span(rule, g.h, oh)
    sw, w0, w1 = span(rule, g.w, ow)
    at = base + (sd + d0 * g.d.d) * g.d.xs + (sh + h0 * g.h.d) * g.h.xs + (sw + w0 * g.w.d) * g.w.xs
    return (at, d1 - d0, h1 - h0, w1 - w0, g.d.d * g.d.xs, g.h.d * g.h.xs, g.w.d * g.w.xs)


def survey(x, codec, box):
    """How many elements there are, and one of them: NaN if there is any."""
    count, value = 0, decode(codec, x[box[0]])
    for i in range(box[1]):
        for j in range(box[2]):
            row = box[0] + i * box[4] + j * box[5]
            for k in range(box[3]):
                v = decode(codec, x[row + k * box[6]])
                count += 1
                if v != v:
                    value = v
    return count, value


def ranked(x, codec, box, pivot):
    """How many elements are less than the pivot, and how many are equal to it."""
    less, equal = 0, 0
    for i in range(box[1]):
        for j in range(box[2]):
            row = box[0] + i * box[4] + j * box[5]
            for k in range(box[3]):
                v = decode(codec, x[row + k * box[6]])
                less += 1 if v < pivot else 0
                equal += 1 if v == pivot else 0
    return less, equal


def between(x, codec, box, low, above, high, below, skip):
    """The element number `skip` of those above `low` and below `high`, as far as these bounds are set."""
    found, left = low, skip
    for i in range(box[1]):
        for j in range(box[2]):
            row = box[0] + i * box[4] + j * box[5]
            for k in range(box[3]):
                v = decode(codec, x[row + k * box[6]])
                if left >= 0 and (v > low or not above) and (v < high or not below):
                    if left == 0:
                        found = v
                    left -= 1
    return found


def next_above(x, codec, box, low):
    """The smallest element above `low`; `low` itself where there is none."""
    found, best = False, low
    for i in range(box[1]):
        for j in range(box[2]):
            row = box[0] + i * box[4] + j * box[5]
            for k in range(box[3]):
                v = decode(codec, x[row + k * box[6]])
                if v > low and (not found or v < best):
                    found, best = True, v
    return best


def median(x, codec, red, box):
    """The middle element as an accumulator and 1, or the two middle ones and 2; NaN where there is any."""
    count, pivot = survey(x, codec, box)
    if pivot != pivot:
        return seed(red, pivot, 0), 1
    rank = (count - 1) // 2
    low = high = pivot = between(x, codec, box, pivot, False, pivot, False, rank)
    above, below, under, inside = False, False, 0, count  # `under` elements are at most `low`, `inside` left to look at
    less, equal = ranked(x, codec, box, pivot)
    while less > rank or less + equal <= rank:
        if less > rank:
            high, below, inside = pivot, True, less - under
        else:
            inside -= less + equal - under
            low, above, under = pivot, True, less + equal
        pivot = between(x, codec, box, low, above, high, below, inside // 2)
        less, equal = ranked(x, codec, box, pivot)
    if count % 2 == 1:
        return seed(red, pivot, 0), 1
    second = pivot if less + equal > rank + 1 else next_above(x, codec, box, pivot)
    return combine(red, seed(red, pivot, 0), seed(red, second, 0)), 2


def tally(x, codec, red, box, value):
    """How often a value occurs, and the next larger one that is not ignored, with whether there is one."""
    count, found, best = 0, False, value
    for i in range(box[1]):
        for j in range(box[2]):
            row = box[0] + i * box[4] + j * box[5]
            for k in range(box[3]):
                v = decode(codec, x[row + k * box[6]])
                count += 1 if v == value else 0
                if v > value and (not found or v < best) and not (red.ignoring and v == red.ignore):
                    found, best = True, v
    return count, found, best


def smallest(x, codec, red, box):
    """The smallest element that is not ignored, and how many there are."""
    count, best = 0, decode(codec, x[box[0]])
    for i in range(box[1]):
        for j in range(box[2]):
            row = box[0] + i * box[4] + j * box[5]
            for k in range(box[3]):
                v = decode(codec, x[row + k * box[6]])
                if not (red.ignoring and v == red.ignore):
                    best = v if count == 0 or v < best else best
                    count += 1
    return count, best


def mode(x, codec, red, box):
    """The most frequent element, the smallest of equally frequent ones; NaN where there is any."""
    _, value = survey(x, codec, box)
    if value != value:
        return value, 1
    left, value = smallest(x, codec, red, box)
    best, most, found = value, 0, left > 0
    while found and left > most:  # what is left could still be more frequent
        here = value
        count, found, value = tally(x, codec, red, box, here)
        if count > most:
            best, most = here, count
        left -= count
    return best, 1


def none(loaded):
    """No accumulator's dtype, no reducer for another order: windows are read as a whole."""
    return


class Mode(NamedTuple):
    """The most frequent element; `ignore` is not counted if `ignoring`."""

    ignore: Any
    ignoring: bool

    gives = "element"
    accumulator = staticmethod(none)
    unordered = staticmethod(none)
    select = staticmethod(mode)
    finish = staticmethod(whole)

    @staticmethod
    def seed(red, v, at):
        return v

    @staticmethod
    def combine(red, a, b):
        return a


def _median_row(mean: Any) -> Any:
    """The row that finds the middle elements and averages them as this row does."""
    row: Any = namedtuple("Median" + mean.__name__.removeprefix("Mean"), ())  # type: ignore[misc]
    row.__module__ = __name__
    row.gives = getattr(mean, "gives", "number")
    row.accumulator = row.unordered = staticmethod(none)
    row.select = staticmethod(median)
    for name in ("seed", "combine", "finish"):
        setattr(row, name, staticmethod(getattr(mean, name)))
    globals()[row.__name__] = row
    return row


MEDIANS = {
    mean: _median_row(mean)
    for mean in (
        means.MeanWide, means.MeanNarrowed, integers.MeanInt16, integers.MeanInt16Rounded, integers.MeanInt32,
        integers.MeanInt32Rounded, integers.MeanInt64, integers.MeanExact, integers.MeanExactUnsigned,
        integers.MeanRounded, integers.MeanRoundedUnsigned,
    )
}  # fmt: skip


def median_reducer(wanted: Wanted) -> Any:
    """The row for "median": the mean of one or two elements, of floats in float64, whose range holds their sum."""
    taps = 2 if wanted.dtype.kind in "biu" else 2**10
    return MEDIANS[type(means.mean_reducer(wanted._replace(taps=taps, wide=True, override=False)))]()


def mode_reducer(wanted: Wanted) -> Any:
    """The row for "mode"."""
    (ignore,) = wanted.options
    loaded = {"b": np.dtype(np.uint8)}.get(wanted.dtype.kind, wanted.dtype)
    if wanted.dtype.name in ("float16", "bfloat16"):
        loaded = np.dtype(np.float32)
    return Mode(loaded.type(0 if ignore is None else ignore), ignore is not None)
