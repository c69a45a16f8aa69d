"""Element types: how a stored element becomes a number (decode) and a result becomes a stored element (encode).

A codec is a NamedTuple class like a reducer. Kernels see memory as plain payloads (halves as their 16 bits where the
target has no half type), decode what they load and encode what they store; nothing else knows about storage.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TWO_52 = 4503599627370496.0


def bits_of(f):
    """The 32 bits of a float32."""
    return np.float32(f).view(np.uint32)


def float_of(u):
    """The float32 with these 32 bits."""
    return np.uint32(u).view(np.float32)


class Plain(NamedTuple):
    """An element that is its own number: results are cast to the stored type by the store."""

    @staticmethod
    def decode(codec, raw):
        return raw

    @staticmethod
    def encode(codec, value):
        return value


class Half(NamedTuple):
    """IEEE float16 as 16 bits: widened to float32 exactly, narrowed with one rounding, half to even."""

    @staticmethod
    def decode(codec, raw):
        h = np.uint32(raw)
        # Exponent and mantissa moved into place, then scaled by 2**112: the two exponent biases differ by that.
        u = bits_of(float_of((h & np.uint32(0x7FFF)) << np.uint32(13)) * np.float32(2.0**112))
        if (h & np.uint32(0x7C00)) == np.uint32(0x7C00):
            u = u | np.uint32(0x7F800000)
        return float_of(u | ((h & np.uint32(0x8000)) << np.uint32(16)))

    @staticmethod
    def encode(codec, value):
        u = bits_of(np.float32(value))
        a = u & np.uint32(0x7FFFFFFF)
        odd = (a >> np.uint32(13)) & np.uint32(1)
        normal = (a - np.uint32(0x38000000) + np.uint32(0xFFF) + odd) >> np.uint32(13)
        # Below 2**-14: adding 0.5 leaves the subnormal's bits, rounded, at the end of the mantissa.
        small = bits_of(float_of(a) + np.float32(0.5)) - np.uint32(0x3F000000)
        h = small if a < np.uint32(0x38800000) else normal
        h = np.uint32(0x7C00) if a >= np.uint32(0x477FF000) else h
        h = np.uint32(0x7E00) if a > np.uint32(0x7F800000) else h
        return np.uint16(h | ((u >> np.uint32(16)) & np.uint32(0x8000)))


class BFloat(NamedTuple):
    """bfloat16 as 16 bits: the upper half of a float32, rounded half to even."""

    @staticmethod
    def decode(codec, raw):
        return float_of(np.uint32(raw) << np.uint32(16))

    @staticmethod
    def encode(codec, value):
        u = bits_of(np.float32(value))
        rounded = (u + np.uint32(0x7FFF) + ((u >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
        quiet = (u >> np.uint32(16)) | np.uint32(0x40)
        return np.uint16(quiet if (u & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000) else rounded)


class Saturated(NamedTuple):
    """An integer result of a float mean: rounded half to even, saturated, NaN as 0."""

    lo: int
    hi: int

    @staticmethod
    def encode(codec, value):
        v = np.float64(value)
        # Half to even by adding and taking off 2**52: np.rint does not compile for CUDA.
        w = TWO_52 if v >= 0.0 else -TWO_52
        r = (v + w) - w if -TWO_52 < v < TWO_52 else v
        # Compared as floats before the cast, which is undefined out of range; hi + 1 and lo are powers of two or 0.
        if r != r:
            return np.int64(0)
        if r >= np.float64(codec.hi):
            return np.int64(codec.hi)
        if r <= np.float64(codec.lo):
            return np.int64(codec.lo)
        return np.int64(r)


class SaturatedWhole(NamedTuple):
    """An integer result that comes as a short integer: saturated."""

    lo: int
    hi: int

    @staticmethod
    def encode(codec, value):
        v = np.int32(value)
        v = np.int32(codec.hi) if v > np.int32(codec.hi) else v
        return np.int32(codec.lo) if v < np.int32(codec.lo) else v


class SaturatedUnsigned(NamedTuple):
    """Saturated for uint64, whose range does not fit an int64."""

    @staticmethod
    def encode(codec, value):
        v = np.float64(value)
        # Half to even by adding and taking off 2**52: np.rint does not compile for CUDA.
        w = TWO_52 if v >= 0.0 else -TWO_52
        r = (v + w) - w if -TWO_52 < v < TWO_52 else v
        if r >= 18446744073709551616.0:
            return np.uint64(0xFFFFFFFFFFFFFFFF)
        return np.uint64(r) if r > 0.0 else np.uint64(0)


class SaturatedPair(NamedTuple):
    """An integer result that comes exactly rounded as (high, low): saturated to [lo, hi]."""

    lo: int
    hi: int

    @staticmethod
    def encode(codec, value):
        hi, lo = value
        if hi > np.int64(0x7FFFFFFF):
            return np.int64(codec.hi)
        if hi < np.int64(-0x80000000):
            return np.int64(codec.lo)
        whole = (hi << np.int64(32)) + lo
        if whole > np.int64(codec.hi):
            return np.int64(codec.hi)
        return whole if whole > np.int64(codec.lo) else np.int64(codec.lo)


class SaturatedPairUnsigned(NamedTuple):
    """SaturatedPair for uint64."""

    @staticmethod
    def encode(codec, value):
        hi, lo = value
        if hi < np.int64(0):
            return np.uint64(0)
        if hi > np.int64(0xFFFFFFFF):
            return np.uint64(0xFFFFFFFFFFFFFFFF)
        return (np.uint64(hi) << np.uint64(32)) | np.uint64(lo)


def input_codec(dtype):
    """How elements of this NumPy dtype are read."""
    return {"float16": Half(), "bfloat16": BFloat()}.get(dtype.name, Plain())


def output_codec(dtype, gives):
    """How results are stored as this NumPy dtype; `gives` says what a reducer finishes with (see `reducers`)."""
    if dtype.kind in "iu" and gives != "element":
        lo, hi = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        if gives == "whole":  # of up to 23 bits, which only the upper ends of uint32 and int64 types exceed
            return SaturatedWhole(lo, hi if dtype.itemsize < 4 else 2**31 - 1)
        if dtype.name == "uint64":
            return SaturatedPairUnsigned() if gives == "pair" else SaturatedUnsigned()
        return SaturatedPair(lo, hi) if gives == "pair" else Saturated(lo, hi)
    return input_codec(dtype)
