"""Gradients of sums and averages that omit NaN: each window's gradient divided first, and nothing for NaN at last."""

from __future__ import annotations

from ..point import decode
from .jit import kernel, pointer


@kernel
def divide_known(g_at, shares_at, start, stop, g_type, acc_type, codec):
    """Windows start .. stop - 1: each one's gradient in the place of what its result was divided by."""
    grad, shares = pointer(g_at, g_type), pointer(shares_at, acc_type)
    for i in range(start, stop):
        by = shares[i]
        shares[i] = decode(codec, grad[i]) / by if by != 0 else 0.0


@kernel
def blank_nan(x_at, out_at, start, stop, x_type, codec):
    """Elements start .. stop - 1 of the result are zero where x is NaN."""
    x, out = pointer(x_at, x_type), pointer(out_at, x_type)
    for i in range(start, stop):
        v = decode(codec, x[i])
        if v != v:
            out[i] = 0
