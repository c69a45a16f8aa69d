"""What gradients need besides the windows themselves: which windows an element lies in. Plain Python on integers.

The gradient of an element is a sum over the windows that contain it, in a fixed order: no two threads ever write to one
element, so the same call gives the same bits on every run.
"""

from __future__ import annotations

from .any_norm import raised
from .norms import ratio_of
from .window import Adaptive, Fractional, extent, fractional_slack


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


def adaptive_windows_of(a, p):
    """The same by the rule `Adaptive`, of all `a.s` windows that share the axis; without any, nothing is negative."""
    return p * a.s // a.n, ((p + 1) * a.s + a.n - 1) // a.n


def adaptive_hits(a, o, p):
    """Adaptive windows leave nothing out."""
    return True


def fractional_windows_of(a, p):
    """Windows that may contain position p, by the rule `Fractional`: all that do, and some beside them."""
    slack, free = fractional_slack(a.n, a.out, a.k), (a.n - a.k if a.n > a.k else 1)
    lo = (p - a.k + 1 - slack) * (a.out - 1)
    hi = (p + slack) * (a.out - 1) // free + 1
    return (lo // free if lo > 0 else 0), (hi if hi < a.out else a.out)


def power(size, exponent):
    """size ** exponent, as a product where it takes few: a power takes as long as twenty of them, and no vectors."""
    if exponent == 1.0:
        return size
    if exponent == 2.0:
        return size * size
    return size * size * size if exponent == 3.0 else raised(size, exponent)


def share_of_norm(size, norm, exponent, one):
    """(size / norm) ** exponent for an element of a window with this norm; `one` is 1 in the type of both.

    That is the derivative of the norm but for the element's sign, with the exponent p - 1. An element of size 0 gets
    nothing and is not asked about; a norm of 0 is then one too small for its type.
    """
    if exponent == 0.0:
        return one if size == size else size
    if norm == 0.0:
        return norm
    if size == norm:  # infinite exponents, and infinite elements, too
        return one
    return power(ratio_of(size, norm), exponent)


def inverse(rule):
    """What `windows_of` and `hits` are by this rule, by their names."""
    if isinstance(rule, Adaptive):
        return {"windows_of": adaptive_windows_of, "hits": adaptive_hits}
    if isinstance(rule, Fractional):
        return {"windows_of": fractional_windows_of, "hits": adaptive_hits}
    return {"windows_of": windows_of, "hits": hits}
