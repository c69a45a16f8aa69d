"""The strips of `strip` for gradients of Lp norms: each window gives by the element's share of its norm."""

from __future__ import annotations

from typing import Any

from numba import cuda

from ..gradient import share_of_norm
from .gather import reached
from .memory import index
from .rows import written_out
from .strip import empty, is_row, load_beside, load_given, load_values, reach, store
from .walk import place

ACC: Any = None  # bound, as all of the following, as in `strip`
EXPONENT: Any = 1.0  # bound: p - 1
OUT: Any = None
WINDOW_D = (0, 0, 0)
AHEAD = DEEP = CHECK_H = CHECK_W = False
SH = SW = TH = TW = V = ROWS = TILE = LOADED = KEPT = 1
LOW_H = LOW_W = 0


def size_of(value):
    """The absolute value, by the rule of `gather_powers`."""
    return value if value >= ACC(0) else -value


def add_power(i, t, down, j, total, shares, norms, values, base):
    """A window gives to an element; one that is none has a norm below 0."""
    for e in range(V):
        at, norm = (i * TW + t) * V + e, norms[base + j * V + e]
        if not ((CHECK_H or CHECK_W) and norm < ACC(0)):
            share = share_of_norm(size_of(values[at]), norm, ACC(EXPONENT), ACC(1))
            total[at] = total[at] + shares[base + j * V + e] * share


def load_row(kept, base, grad, norms, slabs, s, z, g, oh, low_w):
    """What a row of windows is given, and its norms."""
    load_beside(kept[1], base, norms, slabs[1] + oh * z.h, z.w, is_row(g, oh), g.w.out, low_w, ACC(0))
    load_given(kept[0], base, grad, slabs[0] + oh * s.h, s.w, is_row(g, oh), g, low_w)


def powers_row(r, total, kept, grad, norms, slabs, s, z, g, low_h, low_w):
    """One row of windows; `kept` are the thread's own arrays."""
    base = r * LOADED if AHEAD else 0
    if not AHEAD:
        load_row(kept, base, grad, norms, slabs, s, z, g, low_h + r, low_w)
    reach(add_power, r, (total, *kept, base))


def powers_slab(total, kept, grad, norms, slabs, s, z, g, low_h, low_w):
    """All rows of windows."""
    if AHEAD:
        for r in range(ROWS):
            load_row(kept, r * LOADED, grad, norms, slabs, s, z, g, low_h + r, low_w)
    written_out(powers_row, ROWS, (total, kept, grad, norms, slabs, s, z, g, low_h, low_w))


def strip_powers(grad, norms, x, out, g, steps, walk, first, count):
    """One thread's elements."""
    unit = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if unit < count:
        c, q, p, pd, o2, o1 = place(walk, unit)
        s, z, r, u = steps
        total, values = cuda.local.array(TILE, ACC), cuda.local.array(TILE, ACC)
        kept = cuda.local.array(KEPT, ACC), cuda.local.array(KEPT, ACC), values
        ph, pw, low_h, low_w = p * TH, q * TW, p * (TH // SH) + LOW_H, q * (TW // SW) + LOW_W
        at = o1 * s.outer + o2 * s.outer2 + c * V * s.inner
        beside = o1 * z.outer + o2 * z.outer2 + c * V * z.inner
        load_values(values, x, o1 * r.outer + o2 * r.outer2 + c * V * r.inner + pd * r.d, r, g, ph, pw)
        empty(total)
        if DEEP:
            d0, d1, _ = reached(g.d, pd, WINDOW_D)
            for od in range(d0, d1):
                slabs = at + od * s.d, beside + od * z.d
                powers_slab(total, kept, grad, norms, slabs, s, z, g, low_h, low_w)
        else:
            powers_slab(total, kept, grad, norms, (at + pd * s.d, beside + pd * z.d), s, z, g, low_h, low_w)
        for e in range(TILE):
            signed = total[e] if values[e] >= ACC(0) else -total[e]
            total[e] = signed if values[e] != ACC(0) else ACC(0)
        at_out = o1 * u.outer + o2 * u.outer2 + c * V * u.inner + pd * u.d
        store(out, at_out, u, g, ph, pw, total, cuda.local.array(TILE, OUT))
