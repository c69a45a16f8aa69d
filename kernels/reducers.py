"""Operators as rows: seed, combine, finish. Plain Python, compiled for CPU and GPU; engines know no operator names.

A reducer is a NamedTuple class. Its fields, if any, are run-time parameters; its static functions are the operator:

    seed(red, v, at)       one loaded element, at flat position `at` of the pooled axes -> an accumulator
    combine(red, a, b)     two accumulators, `a` of earlier elements than `b` -> one; associative up to rounding
    finish(red, acc, count)  accumulator and divisor -> what is stored

and, where there is a cheaper way with the same result,

    few(red, a, b)         `combine` for up to 16 elements, as they were seeded (combine)

and for the host only, each but the first with the default that is named here:

    accumulator(loaded)    the accumulator's dtype for elements of dtype `loaded`, None for a tuple
    neutral(loaded)        an accumulator that changes no other, bit for bit; stands for padding in buffers (none)
    unordered(loaded)      the reducer of the same result for elements in any order, None if there is none (itself)
    absent(loaded)         with positions: a value that no element loses to; results with it have the position of the
                           window's first element (none: engines with positions leave absent taps out)
    elements()             with positions: the row that gives the same elements alone, where of equal ones the first is
                           chosen, and of NaNs the last (none)
    dear                   whether a seed takes so long that engines make each only once (False)
    picks                  whether the result is one of the elements, so that order decides between zeros (False)
    gives                  "element": stored as it is; "number": a float, which an integer dtype rounds and saturates;
                           "whole": an int32 that saturates at the ends of an integer dtype;
                           "pair": an exact integer (high, low), see `exact` ("number")

Windows are seeded from their first real element, so no operator needs a neutral value. The rows are in `extremes`,
`means`, `sums`, `norms` and `truths`, and those that read windows as a whole in `ranks`; the table of operators, which
chooses one of them, is gpupool/operators.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Wanted(NamedTuple):
    """What decides which row of an operator runs."""

    dtype: np.dtype
    out_dtype: np.dtype
    taps: int  # elements in the largest window, or the divisor where one is given and larger
    indices: bool  # positions, too
    wide: bool  # float64 arithmetic is cheap on this target
    omit: bool  # NaN is absent
    override: bool  # the user gave a divisor
    options: tuple  # the operator's own parameters


def neutral(red: Any, loaded: np.dtype) -> Any:
    """The accumulator that changes no other, None where there is none."""
    make = getattr(red, "neutral", None)
    return None if make is None else make(loaded)


def elements(red: Any) -> Any:
    """The row without positions, None where there is none."""
    make = getattr(red, "elements", None)
    return None if make is None else make()


def picks(red: Any) -> bool:
    """Whether results are elements: windows may then share some, and order decides between zeros."""
    return getattr(red, "picks", False)


def dear(red: Any) -> bool:
    """Whether to seed an element takes longer than to keep its accumulator."""
    return getattr(red, "dear", False)


def selects(red: Any) -> bool:
    """Whether the reducer looks at all elements of a window at once (see `ranks`)."""
    return hasattr(red, "select")


def unordered(red: Any, loaded: np.dtype) -> Any:
    """The reducer that gives this one's result whatever the order of the elements; None where there is none."""
    make = getattr(red, "unordered", None)
    return red if make is None else make(loaded)
