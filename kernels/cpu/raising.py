"""Powers of float64 in steps that compilers make vectors of: a call of the C library's takes as long as six of these.

x**p is 2**(p * log2(x)), and log2(x) is x's exponent and the logarithm of what lies between sqrt(1/2) and sqrt(2), a
series in s = (m - 1) / (m + 1). Polynomials are the best ones of their degree; how much they leave out stands beside.
Kernels for GPUs call their library's `pow`: there it is pasted into each thread like any other code and takes no call,
and shared code would change kernels that have been measured. One meaning holds for both: the rules of IEEE for 0,
infinities and NaN, and an error within 2 ulp of float64, or of 31 bits where results are rounded to float32.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload, register_jitable

from .. import any_norm

LEAST = 2.0**-1022  # the least normal number
ROUND = 3.0 * 2.0**51  # plus a small number, this is a whole one, in the last bits of its representation
ROUND_BITS = np.float64(ROUND).view(np.int64).item()
ROOT_BITS = np.float64(0.5**0.5).view(np.int64).item()
EXPONENT_BITS = -1 << 52
ONE_BITS = np.float64(1.0).view(np.int64).item()
MOST = 1100.0  # from 2**1100 on is infinity, to 2**-1100 nothing
EXPONENTS = 2.0**80  # a larger exponent gives the same of every number
# 2 / log(2), and what this leaves out.
LOG, LOG_REST = 2.8853900817779268, 4.0710547481862066e-17


PASTED = {"forceinline": True}  # into callers, however long: a call ends vectors


def pasted(function):
    """A helper that LLVM pastes into its callers."""
    return register_jitable(**PASTED)(function)


@intrinsic
def multiply_add(typingctx, a, b, c):
    """a * b + c of float64, rounded once where the processor can: as fast as it can."""

    def generate(context, builder, signature, args):
        double = ir.DoubleType()
        function = builder.module.declare_intrinsic("llvm.fmuladd", [double], ir.FunctionType(double, [double] * 3))
        return builder.call(function, args)

    return types.float64(types.float64, types.float64, types.float64), generate


@intrinsic
def exactly_add(typingctx, a, b, c):
    """a * b + c of float64, rounded once."""

    def generate(context, builder, signature, args):
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), generate


@pasted
def parts_of(x):
    """(e, m) of a positive number: x is m * 2**e, m between sqrt(1/2) and sqrt(2)."""
    small = x < LEAST
    a = x * 2.0**64 if small else x
    bits = np.float64(a).view(np.int64)
    e = (bits - ROOT_BITS) >> 52
    m = np.int64(bits - (e << 52)).view(np.float64)
    # The conversion of 64-bit integers is no vector instruction everywhere.
    whole = np.int64(e + ROUND_BITS).view(np.float64) - ROUND
    return (whole - 64.0 if small else whole), m


@pasted
def two_to(n, q):
    """(1 + q) * 2**n for a whole number n, rounded as a product is where that is subnormal."""
    k = np.float64(n + ROUND).view(np.int64) - ROUND_BITS
    half = k >> 1
    first = np.int64((half << 52) + ONE_BITS).view(np.float64)
    second = np.int64(((k - half) << 52) + ONE_BITS).view(np.float64)
    return (first + first * q) * second


@pasted
def nearest(t):
    """The whole number next to t, of those whose powers of 2 are no infinity."""
    t = t if t < MOST else MOST
    t = t if t > -MOST else -MOST
    return (t + ROUND) - ROUND


@pasted
def settled(x, p, t, power):
    """x**p, and what takes its place where p * log2(x), about t, is out of range, and for 0, infinity and NaN."""
    power = power if t < MOST else np.inf
    power = power if t > -MOST else 0.0
    power = (0.0 if p > 0.0 else np.inf) if x == 0.0 else power
    power = (np.inf if p > 0.0 else 0.0) if x == np.inf else power
    return power if x == x else x


@pasted
def in_reach(p):
    """The exponent, or the largest one in its place: infinity times 0 is no number."""
    p = p if p < EXPONENTS else EXPONENTS
    return p if p > -EXPONENTS else -EXPONENTS


@pasted
def atanh_series(z):
    """(atanh(s) / s - 1) / z for z = s * s up to 0.03, to 2**-59."""
    q = 0.06544017425463777
    q = multiply_add(q, z, 0.06634319184633412)
    q = multiply_add(q, z, 0.07693122368810833)
    q = multiply_add(q, z, 0.09090897773760569)
    q = multiply_add(q, z, 0.11111111196290523)
    q = multiply_add(q, z, 0.14285714285399892)
    q = multiply_add(q, z, 0.20000000000000442)
    return multiply_add(q, z, 0.3333333333333333)


@pasted
def exponential_series(r):
    """(2**r - 1) / r for r between -1/2 and 1/2, to 2**-56."""
    q = 4.4549643712692967e-10
    q = multiply_add(q, r, 7.072593027878997e-09)
    q = multiply_add(q, r, 1.0178062426976924e-07)
    q = multiply_add(q, r, 1.3215442552522291e-06)
    q = multiply_add(q, r, 1.525273382986708e-05)
    q = multiply_add(q, r, 0.00015403530441794136)
    q = multiply_add(q, r, 0.0013333558146416916)
    q = multiply_add(q, r, 0.009618129107606854)
    q = multiply_add(q, r, 0.0555041086648216)
    q = multiply_add(q, r, 0.24022650695910097)
    return multiply_add(q, r, 0.6931471805599453)


@pasted
def power_in_full(x, p, rest):
    """x**(p + rest) for x >= 0 and any p but 0, of which `rest` is the rounding error.

    Within 1.5 ulp (3.4 million random, tiny, huge and subnormal x, |p| to 36, against long doubles), 2 ulp up to |p| of
    100. What rounding leaves out is carried along, but for the polynomials' own.
    """
    p = in_reach(p)
    e, m = parts_of(x)
    d = m + 1.0
    s = (m - 1.0) / d
    less = (exactly_add(-s, d, m - 1.0) - s * (m - (d - 1.0))) / d
    z = s * s
    q = atanh_series(z)
    high = LOG * s
    low = multiply_add(high * z, q, exactly_add(LOG, s, -high) + (LOG_REST * s + LOG * less))
    # p * (e + high + low): the nearest whole number n, and what is left of it.
    pe, ph = p * e, p * high
    t = multiply_add(p, high + low, pe)
    n = nearest(t)
    a = pe - n
    r = a + ph
    b = r - a
    small = exactly_add(p, e, -pe) + (exactly_add(p, high, -ph) + p * low) + rest * (e + high)
    r = r + (small + ((a - (r - b)) + (ph - b)))
    q = exponential_series(r)
    return settled(x, p, t, two_to(n, q * r))


@pasted
def power_in_brief(x, p):
    """x**p within 2**-32 + |p| * 2**-37 of it, for x that is 0, infinite or NaN, or normal with |p * log2(x)| < 1000.

    p is not 0; and a negative power of 0 is none of a number's.
    """
    bits = np.float64(x).view(np.int64)
    shifted = bits - ROOT_BITS
    m = np.int64(bits - (shifted & EXPONENT_BITS)).view(np.float64)
    e = np.int64((shifted >> 52) + ROUND_BITS).view(np.float64) - ROUND
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    q = 0.11665807235921749  # atanh, to 2**-36
    q = multiply_add(q, z, 0.14275389316595982)
    q = multiply_add(q, z, 0.20000061105905326)
    q = multiply_add(q, z, 0.33333333277021004)
    high = LOG * s
    t = multiply_add(p, multiply_add(high * z, q, high), p * e)
    k = t + ROUND
    r = t - (k - ROUND)
    q = 1.529734162283227e-05  # 2**r, to 2**-33
    q = multiply_add(q, r, 0.00015461467905285986)
    q = multiply_add(q, r, 0.001333350234150156)
    q = multiply_add(q, r, 0.00961805662050108)
    q = multiply_add(q, r, 0.05550410883930555)
    q = multiply_add(q, r, 0.2402265092256076)
    q = multiply_add(q, r, 0.6931471805599453)
    # What `k` was rounded to is in its last bits, and the others are 0 where they come to lie.
    scaled = np.float64(multiply_add(q, r, 1.0)).view(np.int64) + (np.float64(k).view(np.int64) << 52)
    power = np.int64(scaled).view(np.float64) if x > 0.0 else 0.0
    if p > 0.0:
        return power if x < np.inf else x
    power = power if x < np.inf else 0.0
    return power if x == x else x


@pasted
def root_in_full(x, p):
    """x**(1/p): 1/p is rounded, which alone would cost log(x) / 2 ulp."""
    q = 1.0 / p
    return power_in_full(x, q, exactly_add(-q, p, 1.0) / p)


@pasted
def growth_in_full(u, p):
    """(1 + u)**(1/p) - 1 for u from 0 to 1 and p > 2, within 2**-50 of itself."""
    a = 1.0 + u
    large = a > 1.4142135623730951
    # log2(1 + u), of half of it where that is nearer to 1; what 1 + u leaves out does not matter there.
    top = (a * 0.5 - 1.0) if large else u
    s = top / (top + 2.0)
    z = s * s
    q = atanh_series(z)
    high = LOG * s
    logarithm = multiply_add(high * z, q, high) + (1.0 if large else 0.0)
    r = logarithm / p
    return r * exponential_series(r)


@overload(any_norm.raised, jit_options=PASTED)
def _raised(x, p):
    if isinstance(x, types.Float) and x.bitwidth == 32:
        return lambda x, p: np.float32(power_in_full(np.float64(x), np.float64(p), 0.0))
    return lambda x, p: power_in_full(np.float64(x), np.float64(p), 0.0)


@overload(any_norm.raised_briefly, jit_options=PASTED)
def _raised_briefly(x, p):
    return lambda x, p: power_in_brief(np.float64(x), np.float64(p))


@overload(any_norm.root_of, jit_options=PASTED)
def _root_of(x, p):
    return lambda x, p: root_in_full(x, np.float64(p))


@overload(any_norm.root_growth, jit_options=PASTED)
def _root_growth(u, p):
    return lambda u, p: growth_in_full(u, np.float64(p))
