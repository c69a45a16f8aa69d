"""Passes that write what windows give to their taps, where no two windows overlap (see `tiles`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..any_norm import raised_briefly
from ..gradient import share_of_norm
from ..point import combine, decode, encode, seed
from .jit import called, fetch, pointer, put, put0, put1, put2, put3
from .memory import AHEAD, ask, full_width
from .passes import stretch
from .raising import pasted

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
            ask(x_at + AHEAD + r * sh * row * item, sh * row * item)
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
            ask(x_at + AHEAD + r * sh * row * item, sh * row * item)
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


@called
def power_of_size(size, p):
    """size ** p of float64, brief. A call, of which two are made one: pasted, 2x2 windows take 1.15 times as long."""
    if p == 3.0:
        return size * size * size
    if p == 4.0:
        return (size * size) * (size * size)
    return raised_briefly(size, p)


@pasted
def given(value, v, p, total, factor):
    """What an element v gets of its window's gradient; `factor` is a power of the window's sum of powers."""
    size = abs(v)
    if p == 3.0:
        share = size * size * factor
    elif p == 4.0:
        share = size * size * size * factor
    else:
        share = power_of_size(size, p) / size * factor
    share = 1.0 if (size == np.inf) & (total == np.inf) else share
    gift = value * share
    return gift if v > 0.0 else (-gift if v != 0.0 else 0.0)


def brief_tiles(shape, g_type, x_type, codecs, p):
    """The pass that gives elements their shares of their window's norm, of at most four rows, from x alone."""
    kd, kh, kw, sh, sw, flat = shape
    g_codec, x_codec = codecs
    step, lines, item = sw if flat else 1, kd * kh, x_type.itemsize

    def give(x_at, g_at, more_at, to, rows, many, n, row, slab, to_slab):
        full_width()
        x, out, g = pointer(x_at, x_type), pointer(to, x_type), pointer(g_at, g_type)
        tap = 1 if flat else n
        for r in range(rows):
            ask(x_at + AHEAD + r * sh * row * item, sh * row * item)
            for turn in range(many * 2):
                o = turn // 2
                src, windows = r * sh * row + o * sw * n, (r * many + o) * n
                low, high = stretch(n, True, turn % 2)
                for i in range(low, high):
                    at, total = src + i * step, 0.0
                    for t in range(lines * kw):
                        near = at + t // (kh * kw) * slab + t // kw % kh * row + t % kw * tap
                        total = total + power_of_size(abs(np.float64(decode(x_codec, fetch(x, near)))), p)
                    factor = raised_briefly(total, 1.0 / p - 1.0)
                    value = np.float64(decode(g_codec, fetch(g, windows + i)))
                    for t in range(sw):
                        v = np.float64(decode(x_codec, fetch(x, at + t * tap))) if t < kw else 0.0
                        put0(out, at + t * tap, encode(x_codec, given(value, v, p, total, factor)))
                    if lines > 1:
                        line, to_line = at + 1 // kh * slab + 1 % kh * row, at + 1 // kh * to_slab + 1 % kh * row
                        for t in range(sw):
                            v = np.float64(decode(x_codec, fetch(x, line + t * tap))) if t < kw else 0.0
                            put1(out, to_line + t * tap, encode(x_codec, given(value, v, p, total, factor)))
                    if lines > 2:
                        line, to_line = at + 2 // kh * slab + 2 % kh * row, at + 2 // kh * to_slab + 2 % kh * row
                        for t in range(sw):
                            v = np.float64(decode(x_codec, fetch(x, line + t * tap))) if t < kw else 0.0
                            put2(out, to_line + t * tap, encode(x_codec, given(value, v, p, total, factor)))
                    if lines > 3:
                        line, to_line = at + 3 // kh * slab + 3 % kh * row, at + 3 // kh * to_slab + 3 % kh * row
                        for t in range(sw):
                            v = np.float64(decode(x_codec, fetch(x, line + t * tap))) if t < kw else 0.0
                            put3(out, to_line + t * tap, encode(x_codec, given(value, v, p, total, factor)))
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
