"""Sums of integers that no integer type holds: pairs (high, low) with value high * 2**32 + low, and their division."""

from __future__ import annotations

import numpy as np

LOW = 0xFFFFFFFF


def split_signed(v):
    """An integer as (high, low) with v = high * 2**32 + low and 0 <= low < 2**32."""
    w = np.int64(v)
    return (w >> np.int64(32), w & np.int64(LOW))


def split_unsigned(v):
    """The same for uint64, whose upper half does not fit an int64."""
    w = np.uint64(v)
    return (np.int64(w >> np.uint64(32)), np.int64(w & np.uint64(LOW)))


def divide_exact(acc, count):
    """(high, low) / count -> quotient (high, low) rounded down and remainder, divisor positive; all exact."""
    hi, lo, n = acc[0], acc[1], np.int64(count)
    if n < 0:
        hi, lo, n = -hi, -lo, -n
    hi = hi + (lo >> np.int64(32))
    lo = lo & np.int64(LOW)
    q1 = hi // n
    rest = ((hi - q1 * n) << np.int64(32)) + lo
    q2 = rest // n
    return q1, q2, rest - q2 * n, n


def mean_exact(acc, count):
    """Exact sum / count as float64, rounded once where the sum fits 53 bits, and by a hair more beyond."""
    hi, lo = acc[0] + (acc[1] >> np.int64(32)), acc[1] & np.int64(LOW)
    sign = np.float64(1.0)
    if hi < 0:
        hi, lo, sign = -hi, -lo, np.float64(-1.0)
        hi, lo = hi + (lo >> np.int64(32)), lo & np.int64(LOW)
    if hi < np.int64(2**21):
        return sign * (np.float64((hi << np.int64(32)) + lo) / np.float64(count))
    if count < 0:
        sign, count = -sign, -count
    q1, q2, rest, n = divide_exact((hi, lo), count)
    return sign * (np.float64(q1) * 4294967296.0 + (np.float64(q2) + np.float64(rest) / np.float64(n)))


def round_exact(acc, count):
    """Exact sum / count rounded half to even, as (high, low)."""
    q1, q2, rest, n = divide_exact(acc, count)
    twice = rest - (n - rest)
    if twice > 0 or (twice == 0 and (q2 & np.int64(1)) == 1):
        q2 = q2 + np.int64(1)
    return (q1 + (q2 >> np.int64(32)), q2 & np.int64(LOW))
