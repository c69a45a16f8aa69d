"""Gradients of Lp norms, in two ways.

`powers`  each element gathers the gradients of its windows, by its share of their norms: element by element;
parts     an element's shares have a factor in common: each window's gradient is divided by its norm's power
          (`divide_by_norms`, or without taking the root first, `multiply_by_powers`), `spread` adds these up as it does
          for sums, and its `share` pass multiplies by the element's own power. All in full vectors.
"""

from __future__ import annotations

import numpy as np

from ..any_norm import raised_briefly
from ..gradient import power, share_of_norm
from ..point import decode, encode
from .frame import Frame
from .jit import called, fetch, invoke, kernel, pointer, put, unpacked
from .memory import AHEAD, ask, full_width

INT64 = np.dtype(np.int64)

called(share_of_norm)


@called
def first_windows(f, pd, ph):
    """The first windows that a row lies in, and how many there are, along D and H."""
    first_d, many_d = pointer(f.first_d, INT64), pointer(f.count_d, INT64)
    first_h, many_h = pointer(f.first_h, INT64), pointer(f.count_h, INT64)
    return first_d[pd], many_d[pd], first_h[ph], many_h[ph]


@kernel
def powers(g_at, norm_at, x_at, out_at, frame, start, stop, g_type, x_type, acc_type, codecs, numbers):
    """Rows start .. stop - 1 of the result, all planes' rows counted through; the numbers are 0, 1 and the exponent."""
    f = unpacked(frame, Frame)
    g, x, out = pointer(g_at, g_type), pointer(x_at, x_type), pointer(out_at, x_type)
    norms, zero, one, exponent = pointer(norm_at, acc_type), numbers[0], numbers[1], numbers[2]
    first_w, many_w = pointer(f.first_w, INT64), pointer(f.count_w, INT64)
    for row in range(start, stop):
        rest, ph = row // f.h, row % f.h
        plane, pd = rest // f.d, rest % f.d
        lo_d, many_d, lo_h, many_h = first_windows(f, pd, ph)
        for i in range(f.w * f.inner):
            pw, c = i // f.inner, i % f.inner
            at = row * f.w * f.inner + i
            size, total = zero + decode(codecs[1], x[at]), zero
            sign = one if size >= zero else -one
            size = size * sign
            if size != zero:
                for jd in range(many_d):
                    for jh in range(many_h):
                        line = ((plane * f.od + lo_d + jd * f.step_d) * f.oh + lo_h + jh * f.step_h) * f.ow
                        for jw in range(many_w[pw]):
                            y = (line + first_w[pw] + jw * f.step_w) * f.inner + c
                            share = share_of_norm(size, norms[y], exponent, one)
                            total = total + decode(codecs[0], g[y]) * share
            out[at] = encode(codecs[1], total * sign)


@kernel
def divide_by_norms(g_at, norm_at, far_at, start, stop, g_type, acc_type, codec, numbers):
    """Windows start .. stop - 1: each gradient by its norm's power, in the norm's place.

    The numbers are 0, the exponent, and the ends of the range where powers and quotients keep all their digits. Where
    one does not, or a norm is infinite, the byte at `far_at` becomes 1. A norm of 0 gives nothing.
    """
    full_width()
    g, norms = pointer(g_at, g_type), pointer(norm_at, acc_type)
    zero, exponent, least, most = numbers
    far = np.int32(0)
    for i in range(start, stop):
        norm, value = norms[i], zero + decode(codec, g[i])
        by = power(norm, exponent)
        part = value / by
        size = abs(part)
        outside = (by < least) | (by > most) | (size > most) | ((size < least) & (value != zero))
        far = np.int32(far | (np.int32(1) if (norm != zero) & outside else np.int32(0)))
        norms[i] = part if norm != zero else value * norm
    if far:
        pointer(far_at, np.dtype(np.uint8))[0] = 1


@kernel
def multiply_by_powers(g_at, sums_at, part_at, far_at, start, stop, g_type, acc_type, codec, numbers):
    """Windows start .. stop - 1: each gradient by a power of the window's sum of powers; else as `divide_by_norms`.

    The numbers are the exponent, 1 / p - 1, and the ends of the range for its powers and the products.
    """
    full_width()
    g, parts, sums = pointer(g_at, g_type), pointer(part_at, acc_type), pointer(sums_at, np.dtype(np.float64))
    exponent, least, most = numbers
    far = np.int32(0)
    for i in range(start, stop):
        total, value = fetch(sums, i), np.float64(decode(codec, fetch(g, i)))
        by = raised_briefly(total, exponent)
        part = value * by
        size = abs(part)
        outside = (by < least) | (by > most) | (size > most) | ((size < least) & (value != 0.0))
        far = np.int32(far | (np.int32(1) if (total != 0.0) & outside else np.int32(0)))
        put(parts, i, part)
    if far:
        pointer(far_at, np.dtype(np.uint8))[0] = 1


def share_pass(x_type, acc_type, codec, exponent, brief):
    """The pass of `spread` that multiplies a row of sums by the elements' own power."""
    zero, item = acc_type.type(0), x_type.itemsize

    def share(sums_at, x_at, n, out_at):
        full_width()
        ask(x_at + AHEAD, n * item)
        ask(out_at + AHEAD, n * item)
        sums, x, out = pointer(sums_at, acc_type), pointer(x_at, x_type), pointer(out_at, x_type)
        for i in range(n):
            v, total = zero + decode(codec, fetch(x, i)), fetch(sums, i)
            # One factor at a time: no product on the way is further from 1 than the first and the last.
            if exponent == 0.0:
                total = total if v > zero else (-total if v < zero else v)
            elif exponent == 1.0:
                total = total * v
            elif exponent == 2.0:
                total = total * v * abs(v)
            elif exponent == 3.0:
                total = total * v * v * v
            else:
                size = abs(np.float64(v))
                total = total * (raised_briefly(size, exponent) if brief else power(size, exponent))
                total = total if v > zero else -total
            put(out, i, encode(codec, total if v != zero else zero))
        return 0

    return share


@kernel
def share_rows(sums, x, out, packed, start, stop):
    """Rows start .. stop - 1 of what `share` makes of sums; the integers are a row's elements, bytes, and the pass."""
    known = pointer(packed, INT64)
    n, sum_item, item, share = known[0], known[1], known[2], known[3]
    invoke(share, (sums + start * n * sum_item, x + start * n * item, (stop - start) * n, out + start * n * item))
