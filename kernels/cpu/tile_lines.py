"""Passes that write what windows give to their taps, where no two windows overlap (see `tiles`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..gradient import share_of_norm
from ..point import combine, decode, encode, seed
from .jit import called, fetch, pointer, put, put0, put1, put2, put3
from .memory import ask, full_width

INT32 = np.dtype(np.int32)
# Bytes of x that a pass asks for before it gets there: 2x2 of 16x64x112x112 takes 9.5 ms with none, 8.3 with 1 KiB,
# 7.7 from here (one thread, results past the caches; a copy takes 7.3).
AHEAD = 4096

called(share_of_norm)


class Shape(NamedTuple):
    """The constants of a pass: taps and steps of a window, and whether its row has no other channels between them."""

    kd: int
    kh: int
    kw: int
    sh: int
    sw: int
    flat: bool


def found_tiles(shape, g_type, x_type, codecs, red, zero):
    """The pass that finds in x what each window chooses, of at most four rows."""
    kd, kh, kw, sh, sw, flat = shape
    g_codec, x_codec = codecs
    step, lines, item = sw if flat else 1, kd * kh, x_type.itemsize

    def give(x_at, g_at, more_at, to, rows, many, n, row, slab, to_slab):
        full_width()
        x, out, g = pointer(x_at, x_type), pointer(to, x_type), pointer(g_at, g_type)
        tap = 1 if flat else n
        for r in range(rows):
            ask(x_at + r * sh * row * item + AHEAD, sh * row * item)
            for o in range(many):
                src, windows = r * sh * row + o * sw * n, (r * many + o) * n
                for i in range(n):
                    at = src + i * step
                    acc = seed(red, decode(x_codec, fetch(x, at)), np.int32(0))
                    for t in range(1, lines * kw):
                        near = at + t // (kh * kw) * slab + t // kw % kh * row + t % kw * tap
                        acc = combine(red, acc, seed(red, decode(x_codec, fetch(x, near)), np.int32(t)))
                    value = zero + decode(g_codec, fetch(g, windows + i))
                    for t in range(sw):
                        v = value if t < kw and acc[1] == t else zero
                        put0(out, at + t * tap, encode(x_codec, v))
                    if lines > 1:
                        for t in range(sw):
                            v = value if t < kw and acc[1] == kw + t else zero
                            put1(out, at + 1 // kh * to_slab + 1 % kh * row + t * tap, encode(x_codec, v))
                    if lines > 2:
                        for t in range(sw):
                            v = value if t < kw and acc[1] == 2 * kw + t else zero
                            put2(out, at + 2 // kh * to_slab + 2 % kh * row + t * tap, encode(x_codec, v))
                    if lines > 3:
                        for t in range(sw):
                            v = value if t < kw and acc[1] == 3 * kw + t else zero
                            put3(out, at + 3 // kh * to_slab + 3 % kh * row + t * tap, encode(x_codec, v))
        return 0

    return give


def taken_tiles(shape, g_type, x_type, taken_type, codecs, zero):
    """The same where the number of each window's tap is given."""
    kd, kh, kw, sh, sw, flat = shape
    g_codec, x_codec = codecs
    step = sw if flat else 1

    def give(x_at, g_at, taken_at, to, rows, many, n, row, slab, to_slab):
        full_width()
        out, g, taken = pointer(to, x_type), pointer(g_at, g_type), pointer(taken_at, taken_type)
        tap = 1 if flat else n
        for r in range(rows):
            for jd in range(kd):
                for jh in range(kh):
                    number = np.int32((jd * kh + jh) * kw)
                    for o in range(many):
                        at, windows = jd * to_slab + (r * sh + jh) * row + o * sw * n, (r * many + o) * n
                        for i in range(n):
                            mine = np.int32(fetch(taken, windows + i)) - number
                            value = zero + decode(g_codec, fetch(g, windows + i))
                            for t in range(sw):
                                v = value if t < kw and mine == t else zero
                                put(out, at + i * step + t * tap, encode(x_codec, v))
        return 0

    return give


def power_tiles(shape, g_type, x_type, acc_type, codecs, exponent):
    """The pass that gives elements their shares of their window's norm."""
    kd, kh, kw, sh, sw, flat = shape
    g_codec, x_codec = codecs
    step, item, zero, one = sw if flat else 1, x_type.itemsize, acc_type.type(0), acc_type.type(1)

    def give(x_at, g_at, norm_at, to, rows, many, n, row, slab, to_slab):
        full_width()
        x, out = pointer(x_at, x_type), pointer(to, x_type)
        g, norms = pointer(g_at, g_type), pointer(norm_at, acc_type)
        tap = 1 if flat else n
        for r in range(rows):
            ask(x_at + r * sh * row * item + AHEAD, sh * row * item)
            for jd in range(kd):
                for jh in range(kh):
                    for o in range(many):
                        line, windows = (r * sh + jh) * row + o * sw * n, (r * many + o) * n
                        for i in range(n):
                            norm, value = fetch(norms, windows + i), decode(g_codec, fetch(g, windows + i))
                            for t in range(sw):
                                at, total = line + i * step + t * tap, zero
                                if t < kw:
                                    size = zero + decode(x_codec, fetch(x, at + jd * slab))
                                    sign = one if size >= zero else -one
                                    share = share_of_norm(size * sign, norm, exponent, one)
                                    total = (zero + value * share) * sign if size != zero else zero * sign
                                put(out, at + jd * to_slab, encode(x_codec, total))
        return 0

    return give


def clear_pass(x_type, codec, zero):
    """The pass that clears what has no tap."""

    def clear(at, n):
        x = pointer(at, x_type)
        for i in range(n):
            put(x, i, encode(codec, zero))
        return 0

    return clear
