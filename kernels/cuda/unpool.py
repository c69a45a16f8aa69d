"""Unpooling: elements go where indices say. Of several with one index the last in row-major order wins.

Each element enters its number at its index by an atomic maximum, whose outcome does not depend on the order of threads;
then each place takes the element whose number it holds. No index outside the plane is ever followed.
"""

from __future__ import annotations

import numpy as np
from numba import cuda

from .memory import atomic_max, index, number
from .walk import place

EMPTY = 0  # bound to the payload of zero


def check_indices(where, flags, g, steps, walk, first, count):
    """Leave the largest index beyond the plane in flag 0, and the least below it as -1 - index in flag 1."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, ow, oh, od, o2, o1 = place(walk, i)
        r = steps[0]
        to = where[o1 * r.outer + o2 * r.outer2 + c * r.inner + od * r.d + oh * r.h + ow * r.w]
        if to < 0:
            atomic_max(flags, index(1), -1 - to)
        if to >= number(g.d.n * g.h.n * g.w.n):
            atomic_max(flags, index(0), to)


def claim(where, owner, g, steps, walk, first, count):
    """Each element enters its number within the plane at its index."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, ow, oh, od, o2, o1 = place(walk, i)
        r, t = steps
        to = where[o1 * r.outer + o2 * r.outer2 + c * r.inner + od * r.d + oh * r.h + ow * r.w]
        if to >= 0 and to < number(g.d.n * g.h.n * g.w.n):
            mine = (od * g.h.out + oh) * g.w.out + ow
            at = o1 * t.outer + o2 * t.outer2 + c * t.inner + to * t.w
            atomic_max(owner, at, number(mine))


def unpool(x, owner, out, g, steps, walk, first, count):
    """Each place of the result takes its element, or zero."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, pw, ph, pd, o2, o1 = place(walk, i)
        s, r, t = steps
        flat = (pd * g.h.n + ph) * g.w.n + pw
        mine = np.int64(owner[o1 * r.outer + o2 * r.outer2 + c * r.inner + flat * r.w])
        to = o1 * t.outer + o2 * t.outer2 + c * t.inner + pd * t.d + ph * t.h + pw * t.w
        if mine < 0:
            out[to] = EMPTY
        else:
            rest, ow = mine // number(g.w.out), mine % number(g.w.out)
            od, oh = rest // number(g.h.out), rest % number(g.h.out)
            out[to] = x[o1 * s.outer + o2 * s.outer2 + c * s.inner + od * s.d + oh * s.h + ow * s.w]


def unpool_back(grad, where, owner, out, g, steps, walk, first, count):
    """The gradient of each element: what lies at its index, if it is the one that was kept there."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, ow, oh, od, o2, o1 = place(walk, i)
        s, r, q, t = steps
        to = where[o1 * r.outer + o2 * r.outer2 + c * r.inner + od * r.d + oh * r.h + ow * r.w]
        at = o1 * t.outer + o2 * t.outer2 + c * t.inner + od * t.d + oh * t.h + ow * t.w
        out[at] = EMPTY
        if to >= 0 and to < number(g.d.n * g.h.n * g.w.n):
            mine = (od * g.h.out + oh) * g.w.out + ow
            if owner[o1 * q.outer + o2 * q.outer2 + c * q.inner + to * q.w] == mine:
                pw, rest = to % number(g.w.n), to // number(g.w.n)
                ph, pd = rest % number(g.h.n), rest // number(g.h.n)
                out[at] = grad[o1 * s.outer + o2 * s.outer2 + c * s.inner + pd * s.d + ph * s.h + pw * s.w]
