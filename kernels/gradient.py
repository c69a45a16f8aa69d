"""What gradients need besides the windows themselves: which windows an element lies in. Plain Python on integers.

The gradient of an element is a sum over the windows that contain it, in a fixed order: no two threads ever write to one
element, so the same call gives the same bits on every run.
"""

from __future__ import annotations

from .window import extent


def windows_of(a, p):
    """Windows lo .. hi - 1 of an axis whose span contains position p; with dilation only those that `hits` has."""
    q = p + a.before
    reach = extent(a.k, a.d)
    lo = 0 if q < reach else (q - reach) // a.s + 1
    hi = q // a.s + 1
    return lo, (hi if hi < a.out else a.out)


def hits(a, o, p):
    """Whether window `o`, whose span contains p, has a tap at p."""
    return (p + a.before - o * a.s) % a.d == 0
