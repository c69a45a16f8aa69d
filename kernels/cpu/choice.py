"""Which engine runs a call, and on which view of the arrays. Measured crossovers stand beside each threshold."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from ..codecs import Plain
from ..window import Geometry, extent
from .bands import bands
from .point import point, point_indices

BAND_ELEMENTS = 8192  # accumulators in a band's buffer


class Choice(NamedTuple):
    """A kernel, the geometry it runs on, and what it takes after the rows: (before, between) the dtypes."""

    kernel: Any
    geometry: Geometry
    leading: tuple = ()
    extra: tuple = ()


def band_rows(g: Geometry) -> int:
    """Output rows per band: few enough for the cache, many enough that rows shared by two bands weigh little."""
    width = (g.w.out * g.w.s + extent(g.w.k, g.w.d)) * g.inner.n
    halo = extent(g.h.k, g.h.d)
    fits = (BAND_ELEMENTS // width - halo) // g.h.s + 1
    return max(1, min(g.h.out, max(fits, 2 * halo // g.h.s)))


def choose_engine(g: Geometry, red: Any, x_codec: Any, payload: np.dtype, indices: bool) -> Choice:
    """The engine for this geometry."""
    if indices:
        return Choice(point_indices, g, (), (np.dtype(np.int64),))
    loaded = payload if isinstance(x_codec, Plain) else np.dtype(np.float32)
    acc = red.accumulator(loaded)
    if acc is None or os.environ.get("GPUPOOL_ENGINE") == "point":
        return Choice(point, g)
    if g.inner.n > 1 and (g.inner.xs != 1 or g.w.xs != g.inner.n):
        return Choice(point, g)
    g = folded(g)
    return Choice(bands, g, (band_rows(g),), (acc, red.neutral(loaded)))


def folded(g: Geometry) -> Geometry:
    """The same work with fewer, taller planes where windows tile the planes exactly, or rows are not pooled at all."""
    if g.d.k > 1 or g.d.out > 1:
        return g
    while g.outer2.n > 1 or g.outer.n > 1:
        h = g.h
        if g.outer2.n == 1:
            g = g._replace(outer=g.outer2, outer2=g.outer)
            continue
        alone = (h.n, h.out, h.k, h.before) == (1, 1, 1, 0)
        tiled = h.before == 0 and h.n == h.out * h.s and extent(h.k, h.d) <= h.s and h.count_from >= 0
        joined = g.outer2.xs == h.n * h.xs and g.outer2.ys == h.out * h.ys
        n = g.outer2.n
        if alone:
            h = h._replace(n=n, out=n, s=1, count_to=n, xs=g.outer2.xs, ys=g.outer2.ys)
        elif tiled and joined and h.count_to == h.n:
            h = h._replace(n=h.n * n, out=h.out * n, count_to=h.n * n)
        else:
            return g
        g = g._replace(h=h, outer2=g.outer._replace(n=1, xs=0, ys=0) if g.outer.n == 1 else g.outer)
        g = g._replace(outer=g.outer._replace(n=1, xs=0, ys=0))
    return g
