"""What gradients need besides the windows themselves: which windows an element lies in. Plain Python on integers.

The gradient of an element is a sum over the windows that contain it, in their row-major order: no two threads ever write
to one element, so the same call gives the same bits on every run.
"""

from __future__ import annotations

from .window import extent


def windows_of(n, out, k, s, d, before, p):
    """Windows lo .. hi - 1 whose span contains position p; with dilation only those that `hits` have a tap there."""
    q = p + before
    reach = extent(k, d)
    lo = 0 if q < reach else (q - reach) // s + 1
    hi = q // s + 1
    return lo, (hi if hi < out else out)


def hits(s, d, before, o, p):
    """Whether window `o`, whose span contains p, has a tap at p."""
    return (p + before - o * s) % d == 0
