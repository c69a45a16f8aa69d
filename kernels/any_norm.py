"""Lp norms of any p, whose powers are no products."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import adding
from .extremes import whole


def raised(x, p):
    """x**p for x >= 0; kernels for CPUs have their own, which vectors can hold (`cpu/raising.py`)."""
    return x**p


def raised_briefly(x, p):
    """x**p in float64 to 31 bits, where x and the power are 0, infinite, NaN or normal."""
    return np.float64(x) ** np.float64(p)


def root_of(x, p):
    """x**(1/p) in float64, within an ulp where p > 1."""
    r = x ** (1.0 / p)
    if p > 1.0 and r > 0.0 and x < 1e300:
        # 1 / p is rounded, which costs log(x) / 2 ulp: one step of Newton's takes that back.
        r = r * (1.0 - (r**p / x - 1.0) / p)
    return r


def root_growth(u, p):
    """(1 + u)**(1/p) - 1 for u from 0 to 1 and p > 1; kernels for CPUs have their own."""
    return (1.0 + u) ** (1.0 / p) - 1.0


class NormAny(NamedTuple):
    """Any other p, in float64."""

    p: float

    dear = True
    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    combine = staticmethod(adding.add)

    @staticmethod
    def seed(red, v, at):
        return raised(abs(np.float64(v)), np.float64(red.p))

    @staticmethod
    def finish(red, acc, count):
        return root_of(acc, np.float64(red.p))


def brief_power(red, v, at):
    """Seed: |v|**p, to the digits of float32 and some more."""
    return raised_briefly(abs(np.float64(v)), np.float64(red.p))


class NormAnyBrief(NamedTuple):
    """NormAny for results in float32, where fewer digits take less time."""

    p: float

    dear = True
    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    combine = staticmethod(adding.add)

    seed = staticmethod(brief_power)

    @staticmethod
    def finish(red, acc, count):
        return raised_briefly(acc, 1.0 / np.float64(red.p))


class PowersBrief(NamedTuple):
    """The sum that NormAnyBrief takes the root of."""

    p: float
    dear = True

    accumulator = staticmethod(adding.in_float64)
    neutral = staticmethod(adding.zero64)
    seed = staticmethod(brief_power)
    combine = staticmethod(adding.add)
    finish = staticmethod(adding.total)


class NormGrown(NamedTuple):
    """NormAny where powers may leave float64: of two parts' norms the larger grows, by a factor of up to 2**(1/p).

    One number and no branches, so that engines make vectors of it; what it grows by is small, so that a sum's rounding
    is all that counts.
    """

    p: float
    dear = True

    accumulator = staticmethod(adding.in_float64)
    seed = staticmethod(adding.size64)
    finish = staticmethod(whole)

    @staticmethod
    def neutral(loaded):
        return np.float64(0.0)

    @staticmethod
    def combine(red, a, b):
        p = np.float64(red.p)
        most = a if a > b else b
        least = b if a > b else a
        r = most + most * root_growth(raised(least / most, p), p)
        r = r if (most > 0.0) & (most < np.inf) else most
        return r if least == least else least


class NormScaled(NamedTuple):
    """The same for GPUs, whose threads branch: the largest |x|, and the sum of the powers of |x| over it."""

    p: float

    accumulator = staticmethod(adding.in_pairs)

    @staticmethod
    def neutral(loaded):
        return (np.float64(0.0), np.float64(0.0))

    @staticmethod
    def seed(red, v, at):
        return (abs(np.float64(v)), np.float64(1.0))

    @staticmethod
    def combine(red, a, b):
        if a[0] > b[0]:
            return (a[0], a[1] + b[1] * (b[0] / a[0]) ** np.float64(red.p))
        if a[0] < b[0]:
            return (b[0], b[1] + a[1] * (a[0] / b[0]) ** np.float64(red.p))
        return (a[0] if a[0] == b[0] else np.float64(np.nan), a[1] + b[1])  # both are 0, or inf, or there is a NaN

    @staticmethod
    def finish(red, acc, count):
        return acc[0] * acc[1] ** (1.0 / np.float64(red.p))
