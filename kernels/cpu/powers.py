"""Gradients of Lp norms: each element gathers the gradients of its windows, by its share of their norms."""

from __future__ import annotations

import numpy as np

from ..gradient import share_of_norm
from ..point import decode, encode
from .frame import Frame
from .jit import called, kernel, pointer, unpacked

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
