"""One output element from its window, whatever the window: the reference for every faster engine.

Plain Python on flat memory. The CPU's loops and the CUDA kernels compile these same functions; `seed`, `combine`,
`finish`, `decode` and `encode` stand for the reducer's and the codec's own functions, `span` and `counted` for the
window rule's, which each target binds.
"""

from __future__ import annotations

from .window import first_tap


def seed(red, v, at):
    """The reducer's seed."""
    return type(red).seed(red, v, at)


def combine(red, a, b):
    """The reducer's combine."""
    return type(red).combine(red, a, b)


def few(red, a, b):
    """The reducer's few, or combine where it has none."""
    return type(red).few(red, a, b)


def finish(red, acc, count):
    """The reducer's finish."""
    return type(red).finish(red, acc, count)


def select(x, codec, red, box):
    """The reducer's select, where it has one (see `ranks`)."""
    return type(red).select(x, codec, red, box)


def decode(codec, raw):
    """The codec's decode."""
    return type(codec).decode(codec, raw)


def encode(codec, value):
    """The codec's encode."""
    return type(codec).encode(codec, value)


def span(rule, a, o):
    """The window rule's span."""
    return type(rule).span(rule, a, o)


def counted(rule, a, o):
    """The window rule's counted."""
    return type(rule).counted(rule, a, o)


def reduce_row(x, base, codec, red, w, start, taps, flat):
    """The taps of one window along its last axis; `base` and `flat` belong to position 0 of that row."""
    j0, j1 = taps
    at = start + j0 * w.d
    acc = seed(red, decode(codec, x[base + at * w.xs]), flat + at)
    for j in range(j0 + 1, j1):
        at = start + j * w.d
        acc = combine(red, acc, seed(red, decode(codec, x[base + at * w.xs]), flat + at))
    return acc


def reduce_window(x, base, codec, red, rule, g, od, oh, ow):
    """The accumulator of window (od, oh, ow) of the plane whose element (0, 0, 0) lies at `base`."""
    return reduce_spans(x, base, codec, red, g, span(rule, g.d, od), span(rule, g.h, oh), span(rule, g.w, ow))


def reduce_spans(x, base, codec, red, g, span_d, span_h, span_w):
    """The accumulator of the window with these spans.

    Rows are reduced first, then combined in row-major order: the first of equal elements still wins.
    """
    sd, d0, d1 = span_d
    sh, h0, h1 = span_h
    sw, w0, w1 = span_w
    taps = w0, w1
    pd = sd + d0 * g.d.d
    ph = sh + h0 * g.h.d
    acc = reduce_row(x, base + pd * g.d.xs + ph * g.h.xs, codec, red, g.w, sw, taps, (pd * g.h.n + ph) * g.w.n)
    first = h0 + 1
    for jd in range(d0, d1):
        pd = sd + jd * g.d.d
        for jh in range(first, h1):
            ph = sh + jh * g.h.d
            row = base + pd * g.d.xs + ph * g.h.xs
            acc = combine(red, acc, reduce_row(x, row, codec, red, g.w, sw, taps, (pd * g.h.n + ph) * g.w.n))
        first = h0
    return acc


def tap_number(g, od, oh, ow, position):
    """The number of the tap at a flat position in window (od, oh, ow): row-major in the whole window, padding, too."""
    row = position // g.w.n
    pd = row // g.h.n
    jd = (pd - first_tap(od, g.d.s, g.d.before)) // g.d.d
    jh = (row - pd * g.h.n - first_tap(oh, g.h.s, g.h.before)) // g.h.d
    jw = (position - row * g.w.n - first_tap(ow, g.w.s, g.w.before)) // g.w.d
    return (jd * g.h.k + jh) * g.w.k + jw


def divisor(rule, g, od, oh, ow):
    """What an average of window (od, oh, ow) is divided by."""
    if g.divisor != 0:
        return g.divisor
    return counted(rule, g.d, od) * counted(rule, g.h, oh) * counted(rule, g.w, ow)
