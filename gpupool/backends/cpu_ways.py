"""Which way windows are reduced in a program, by their geometry, the order of the elements and what operators cost."""

from __future__ import annotations

from math import gcd

from gpupool.kernels.codecs import Plain
from gpupool.kernels.cpu.passes import Types
from gpupool.kernels.cpu.rolling import MOST_LINES
from gpupool.kernels.reducers import dear, unordered
from gpupool.kernels.window import Geometry, extent

from .cpu_loops import WIDE_CHANNELS
from .cpu_reduction import MOST_TAPS, TAPS, common_factor

BORDER_COLUMNS = 4  # up to so many outputs at borders are made one by one, straight from the input
FEWEST_LANES = 64  # in a row of windows that roll: with 33, hot 3x3 means take 1.4 times as long as in two passes


def is_down_first(g: Geometry, types: Types) -> bool:
    """Whether windows are reduced down before they are across: small ones that share no columns, and any that share no
    elements, all inside the input, of elements that may come in any order."""
    axes = (g.h, g.w)
    inside = all(a.before == 0 and (a.out - 1) * a.s + extent(a.k, a.d) <= a.n for a in axes)
    small = all(1 < a.k <= TAPS for a in axes) and extent(g.w.k, g.w.d) <= g.w.s
    small = small or all(1 < a.k <= a.s and a.d == 1 for a in axes)
    cheap = not dear(types.red) or g.h.k <= g.h.s
    return inside and small and g.d.k == 1 and cheap and is_unordered(types)


def is_unordered(types: Types) -> bool:
    """Whether elements may come in any order."""
    return type(unordered(types.red, types.acc)) is type(types.red)


def is_long(lanes: int, types: Types) -> bool:
    """Whether a row has enough lanes to roll: four full vectors, and more of narrow elements."""
    return lanes * min(types.acc.itemsize, 4) >= 4 * FEWEST_LANES


def has_few_borders(g: Geometry) -> bool:
    """Whether columns at borders may be made one by one."""
    w = g.w
    beyond = (w.out - 1) * w.s - w.before + extent(w.k, w.d) - w.n
    borders = -(-w.before // w.s) + (-(-beyond // w.s) if beyond > 0 else 0)
    return borders <= BORDER_COLUMNS or g.inner.n >= WIDE_CHANNELS


def rolls(g: Geometry, types: Types) -> bool:
    """Whether windows roll down the rows: overlapping ones of few taps and lines that lie side by side."""
    h, w, chans = g.h, g.w, g.inner.n
    small = h.s == w.s == h.d == g.d.k == 1 and 1 < h.k <= MOST_LINES and w.k <= TAPS and not dear(types.red)
    dense = is_dense(g) and w.ys == chans and (chans == 1 or g.inner.ys == 1)
    return small and dense and is_long((w.out - w.k) * chans, types) and has_few_borders(g)


def is_tall(g: Geometry, types: Types) -> bool:
    """Whether windows of many lines are reduced down before they are across.

    Where order shows in the last bits, neither layout nor strides decide.
    """
    h, w = g.h, g.w
    many = h.s == h.d == g.d.k == 1 and h.k > TAPS and is_unordered(types) and not dear(types.red)
    return many and (w.n >= FEWEST_LANES if types.acc.kind == "f" else is_long(w.n * g.inner.n, types))


def is_dense(g: Geometry) -> bool:
    """Whether the elements of a row lie side by side."""
    chans = g.inner.n
    return g.w.xs == chans and (chans == 1 or g.inner.xs == 1)


def is_tiled(g: Geometry) -> bool:
    """Whether many taps of a row's windows, all inside it, can be combined a few at a time straight from the input."""
    w = g.w
    inside = w.before == 0 and (w.out - 1) * w.s + w.k <= w.n
    apart = common_factor(w.k, w.s) > 1 or (w.k <= w.s and g.inner.n >= WIDE_CHANNELS)
    return w.k > MOST_TAPS and inside and w.d == 1 and apart


def is_direct(g: Geometry, types: Types) -> bool:
    """Whether rows are reduced straight from the input: not if elements would be decoded, or at a high price seeded,
    often, or borders are wide."""
    w = g.w
    if is_tiled(g):
        return not dear(types.red)
    if w.k > TAPS and not (w.k <= MOST_TAPS and w.s > 1 == w.d and (w.k == w.s or gcd(w.k, w.s) == 1)):
        return False
    if (dear(types.red) or not isinstance(types.x_codec, Plain)) and w.k > w.s:
        return False
    return has_few_borders(g)
