"""Gradients of sums and averages that omit NaN: each window's gradient divided first, and nothing for NaN at last."""

from __future__ import annotations

from typing import Any

from numba import cuda

from ..point import decode, encode
from .gather import decode_result, summed
from .memory import index
from .walk import place

X_CODEC = Y_CODEC = None  # bound to the codecs of what is divided or added, and of the result
ACC: Any = None  # bound to the type in which gradients are added


def divide_known(grad, divisors, out, g, steps, walk, first, count):
    """One thread per window: its gradient by what its result was divided by, nothing where nothing was known."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, ow, oh, od, o2, o1 = place(walk, i)
        r, s, t = steps
        by = divisors[o1 * s.outer + o2 * s.outer2 + c * s.inner + od * s.d + oh * s.h + ow * s.w]
        from_g = o1 * r.outer + o2 * r.outer2 + c * r.inner + od * r.d + oh * r.h + ow * r.w
        to = o1 * t.outer + o2 * t.outer2 + c * t.inner + od * t.d + oh * t.h + ow * t.w
        out[to] = ACC(decode(X_CODEC, grad[from_g])) / by if by != 0 else ACC(0)


def gather_known(grad, x, out, g, steps, walk, first, count):
    """One thread per element: what its windows give, unless it is NaN. Y_CODEC reads x and writes the result."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, pw, ph, pd, o2, o1 = place(walk, i)
        s, r, t = steps
        value = decode_result(Y_CODEC, x[o1 * r.outer + o2 * r.outer2 + c * r.inner + pd * r.d + ph * r.h + pw * r.w])
        total = summed(grad, o1 * s.outer + o2 * s.outer2 + c * s.inner, s, g, pd, ph, pw)
        to = o1 * t.outer + o2 * t.outer2 + c * t.inner + pd * t.d + ph * t.h + pw * t.w
        out[to] = encode(Y_CODEC, total if value == value else ACC(0))
