"""How thread numbers become positions: blocks count through (outer, outer2, d, h, w, c), the last fastest."""

from __future__ import annotations

from typing import NamedTuple

from .memory import index, quotient

MANY_C = MANY_W = MANY_H = MANY_D = MANY_O = True  # bound: whether an axis may have more than one entry


class Cut(NamedTuple):
    """An axis to divide by: its length, the multiplier and shift that divide numbers below 2**31 by it, its step."""

    n: int
    magic: int
    shift: int
    size: int = 1  # outputs that one of the n entries covers, for kernels that are told at run time


class Walk(NamedTuple):
    """The axes that a kernel's threads count through, all but the slowest."""

    c: Cut
    w: Cut
    h: Cut
    d: Cut
    o: Cut


def cut(n, size=1):
    """A Cut of length n, on the host: floor(i * magic / 2**(31 + shift)) is i // n for every i below 2**31."""
    shift = (n - 1).bit_length()
    return Cut(n, (1 << (31 + shift)) // n + 1 if n < 2**31 else 0, shift, size)


def split(i, c):
    """i // c.n and i % c.n."""
    q = quotient(i, c.n, c.magic, c.shift)
    return q, i - q * c.n


def place(walk, unit):
    """Position number `unit`: (c, w, h, d, o2, o1). Axes that are known to have one entry cost nothing."""
    c = w = h = d = o2 = index(0)
    rest = unit
    if MANY_C:
        rest, c = split(rest, walk.c)
    if MANY_W:
        rest, w = split(rest, walk.w)
    if MANY_H:
        rest, h = split(rest, walk.h)
    if MANY_D:
        rest, d = split(rest, walk.d)
    if MANY_O:
        rest, o2 = split(rest, walk.o)
    return c, w, h, d, o2, rest
