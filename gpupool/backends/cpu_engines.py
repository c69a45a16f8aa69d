"""Which engine runs a call, and on which view of the arrays. Measured crossovers stand beside each threshold."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gpupool.kernels.codecs import Plain
from gpupool.kernels.cpu.bands import band_tables, bands
from gpupool.kernels.cpu.lines import line_functions
from gpupool.kernels.cpu.point import point, point_indices
from gpupool.kernels.cpu.whole import whole_finish, whole_parts
from gpupool.kernels.reducers import neutral
from gpupool.kernels.window import Batch, Geometry, extent

# Taps in all outputs up to which the point engine runs: it needs no buffers (2 us a call less) and compiles in a fifth
# of the time. At 512 taps the two take equally long.
SMALL_WORK = 512
FEW_CHANNELS = 8
BAND_ELEMENTS = 8192  # accumulators in a band's buffer


PART_PIXELS = 1 << 18  # a whole plane is cut into parts of about this size, so that one plane can occupy all threads
BUFFER_BYTES = 1 << 26  # beyond this the band engine's buffers leave every cache, and the point engine wastes no memory


class Stage(NamedTuple):
    """A kernel, the integers it takes after (start, stop), the dtypes and rows after those, and its units of work."""

    kernel: Any
    integers: tuple[int, ...]
    constants: tuple
    units: int


class Choice(NamedTuple):
    """The geometry that the stages run on; between two stages lie `between` accumulators of dtype `acc`."""

    geometry: Geometry
    stages: tuple[Stage, ...]
    tables: tuple[int, ...] = ()  # integers that follow the geometry in memory
    between: int = 0
    acc: np.dtype | None = None


def rows_of(g: Geometry) -> int:
    """Output rows."""
    return g.outer.n * g.outer2.n * g.d.out * g.h.out


def work(g: Geometry) -> int:
    """Taps in all outputs."""
    return rows_of(g) * g.w.out * g.inner.n * g.d.k * g.h.k * g.w.k


def band_rows(g: Geometry) -> int:
    """Output rows per band: few enough for the cache, many enough that rows shared by two bands weigh little."""
    width = (g.w.out * g.w.s + extent(g.w.k, g.w.d)) * g.inner.n
    halo = extent(g.h.k, g.h.d)
    fits = (BAND_ELEMENTS // width - halo) // g.h.s + 1
    return max(1, min(g.h.out, max(fits, 2 * halo // g.h.s)))


def band_bytes(g: Geometry, band: int, acc: np.dtype) -> int:
    """Roughly what the band engine allocates."""
    width = (g.w.out + extent(g.w.k, g.w.d) // g.w.s) * g.inner.n
    return (band * g.h.s + extent(g.h.k, g.h.d)) * width * (g.w.s + 6) * acc.itemsize


def is_whole(g: Geometry) -> bool:
    """Whether every window is a whole plane that lies in memory without gaps."""
    for a in (g.d, g.h, g.w):
        if a.out != 1 or a.before != 0 or a.d != 1 or a.k < a.n:
            return False
    steps = (g.inner.n, g.w.n, g.h.n)
    expected = (g.inner.n, g.inner.n * g.w.n, g.inner.n * g.w.n * g.h.n)
    held = all(a.n == 1 or a.xs == e for a, e in zip((g.w, g.h, g.d), expected, strict=True))
    return held and (steps[0] == 1 or g.inner.xs == 1)


def choose_engine(
    g: Geometry, kinds: tuple[np.dtype, np.dtype], codecs: tuple[Any, Any], red: Any, indices: bool
) -> Choice:
    """The engine for this geometry; `kinds` are the payload dtypes of x and y, `codecs` their codecs."""
    if indices:
        return Choice(g, (Stage(point_indices, (), (*kinds, np.dtype(np.int64), *codecs, red), rows_of(g)),))
    loaded = kinds[0] if isinstance(codecs[0], Plain) else np.dtype(np.float32)
    acc = red.accumulator(loaded)
    anyhow = Choice(g, (Stage(point, (), (*kinds, *codecs, red), rows_of(g)),))
    if acc is None or neutral(red, loaded) is None or work(g) <= SMALL_WORK:
        return anyhow
    if is_whole(g):
        planes = g.outer.n * g.outer2.n
        parts = max(1, g.d.n * g.h.n * g.w.n * g.inner.n // PART_PIXELS)
        parts = min(parts, g.d.n * g.h.n * g.w.n)
        one = Stage(
            whole_parts, (parts, int(getattr(red, "picks", False))), (kinds[0], acc, codecs[0], red), planes * parts
        )
        two = Stage(whole_finish, (parts,), (acc, kinds[1], codecs[1], red), planes)
        return Choice(g, (one, two), (), planes * parts * g.inner.n, acc)
    if g.inner.n > 1 and (g.inner.xs != 1 or g.w.xs != g.inner.n):
        return anyhow
    g = folded(parted(g))
    band = band_rows(g)
    if band_bytes(g, band, acc) > BUFFER_BYTES:
        return anyhow
    items = (kinds[0].itemsize, kinds[1].itemsize, acc.itemsize)
    lines = line_functions(*kinds, acc, *codecs, red)
    return Choice(g, (Stage(bands, (), (), rows_of(g)),), band_tables(g, band, items, lines))


def parted(g: Geometry) -> Geometry:
    """Few interleaved channels with a stride, as an image has, become planes of their own with strided columns.

    A row of 3 channels is otherwise dealt to its phases pixel by pixel. By planes, although each of them reads all
    cache lines, an 8x8 maximum of a uint8 300x451 photograph takes 0.23 ms instead of 1.36, and a 2x2 maximum of a
    float32 2160x3840 one 88 ms instead of 175 (2 cores of a 2.4 GHz EPYC, AVX2).
    """
    if g.inner.n == 1 or g.inner.n >= FEW_CHANNELS or g.w.s == 1 or (g.outer.n > 1 and g.outer2.n > 1):
        return g
    other = g.outer if g.outer2.n == 1 else g.outer2
    return g._replace(outer=other, outer2=g.inner, inner=Batch(1, 0, 0))


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
