"""A Plan and strides become a Geometry: an array seen as (outer, outer2, D, H, W, inner) on flat memory. Integers only.

Flat memory begins at the lowest address that an array touches, so every offset a kernel computes is non-negative, and
negative, zero and arbitrary strides need no copy.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from gpupool.kernels.window import Adaptive, Axis, Batch, Geometry

from .axes import PooledAxis
from .plan import Plan

NO_AXIS = Axis(n=1, out=1, k=1, s=1, d=1, before=0, count_from=0, count_to=1, xs=0, ys=0)
NO_BATCH = Batch(1, 0, 0)


class Layout(NamedTuple):
    """How one pair of arrays is walked: `geometry`, repeated at each (x, y) offset of `starts`."""

    geometry: Geometry
    starts: tuple[tuple[int, int], ...]
    x_span: int  # elements from the lowest to the highest that is touched, both included
    y_span: int

    @property
    def outputs(self) -> int:
        """Output elements at each start."""
        return self.rows * self.geometry.w.out * self.geometry.inner.n

    @property
    def rows(self) -> int:
        """Output rows at each start."""
        g = self.geometry
        return g.outer.n * g.outer2.n * g.d.out * g.h.out


def memory_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """Axes from the slowest to the fastest in memory; axes whose stride says nothing stay where they are."""
    order = list(range(len(shape)))
    known = [a for a in order if shape[a] > 1 and strides[a] != 0]
    for slot, axis in zip(known, sorted(known, key=lambda a: -abs(strides[a])), strict=True):
        order[slot] = axis
    return tuple(order)


def out_order(plan: Plan, x_strides: tuple[int, ...]) -> tuple[int, ...]:
    """The result's axes from slowest to fastest: the input's order, less the axes that are gone."""
    order = memory_order(plan.shape, x_strides)
    if len(plan.out_shape) == len(plan.shape):
        return order
    kept = kept_axes(plan)
    return tuple(kept.index(a) for a in order if a in kept)


def kept_axes(plan: Plan) -> tuple[int, ...]:
    """The input axes that the result still has."""
    if plan.request.keepdims:
        return tuple(range(len(plan.shape)))
    first = len(plan.shape) - (plan.request.spatial or 0) - (plan.request.data_format == "channels_last")
    gone = range(first, first + (plan.request.spatial or 0))
    return tuple(a for a in range(len(plan.shape)) if a not in gone)


def contiguous_strides(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    """Element strides of a new array with this shape whose axes lie in memory in this order."""
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


def lowest(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Offset of the lowest touched element from element (0, ..., 0): zero or negative."""
    return sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if s < 0)


def span(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Elements from the lowest to the highest that is touched, both included."""
    return 1 + sum((n - 1) * abs(s) for n, s in zip(shape, strides, strict=True))


def _merged(batch: list[Batch]) -> list[Batch]:
    """Batch axes, slowest first, with those joined that are one axis in both memories."""
    joined: list[Batch] = []
    for b in sorted((b for b in batch if b.n > 1), key=lambda b: (-abs(b.ys), -abs(b.xs))):
        if joined and joined[-1].xs == b.n * b.xs and joined[-1].ys == b.n * b.ys:
            joined[-1] = Batch(joined[-1].n * b.n, b.xs, b.ys)
        else:
            joined.append(b)
    return joined


def make_axis(plan: Plan, a: PooledAxis, xs: int, ys: int) -> Axis:
    """A pooled axis with its strides and the positions that count in the divisor."""
    if isinstance(plan.rule, Adaptive):
        return Axis(a.n, a.out, a.k, s=a.out, d=1, before=0, count_from=0, count_to=a.n, xs=xs, ys=ys)
    include = plan.request.count_include_pad
    count_from, count_to = (-a.before, a.n + a.after) if include else (0, a.n)
    return Axis(a.n, a.out, a.k, a.s, a.d, a.before, count_from, count_to, xs, ys)


def make_layout(plan: Plan, x_strides: tuple[int, ...], y_strides: tuple[int, ...], tiled: bool = False) -> Layout:
    """Fit the arrays to the kernels' six axes; what does not fit becomes several starts.

    With `tiled`, windows tile the planes, and each is taken for a plane of its own.
    """
    full = dict.fromkeys(range(len(plan.shape)), 0)
    full.update(zip(kept_axes(plan), y_strides, strict=True))
    pooled = {a.axis for a in plan.pooled}
    batch = [Batch(n, x_strides[a], full[a]) for a, n in enumerate(plan.shape) if a not in pooled]
    axes = [make_axis(plan, a, x_strides[a.axis], full[a.axis]) for a in plan.pooled]
    if tiled:
        batch += [Batch(a.out, a.k * a.xs, a.ys) for a in axes]
        axes = [a._replace(n=a.k, out=1, s=1, count_to=a.k, ys=0) for a in axes]
    axes = [NO_AXIS] * (3 - len(axes)) + axes
    rest = _merged(batch)
    inner = NO_BATCH
    w_step = abs(axes[2].ys) if axes[2].out > 1 else abs(axes[2].xs)
    if rest and abs(rest[-1].ys) < max(w_step, 1) + (not plan.pooled):
        inner = rest.pop()
    rest.sort(key=lambda b: b.n)
    outer = rest[-2:]
    outer.sort(key=lambda b: -abs(b.ys))
    outer = [NO_BATCH] * (2 - len(outer)) + outer
    x_low, y_low = lowest(plan.shape, x_strides), lowest(plan.out_shape, y_strides)
    starts = tuple(
        (
            sum(i * b.xs for i, b in zip(at, rest[:-2], strict=True)) - x_low,
            sum(i * b.ys for i, b in zip(at, rest[:-2], strict=True)) - y_low,
        )
        for at in itertools.product(*(range(b.n) for b in rest[:-2]))
    )
    divisor = plan.request.divisor_override or 0 if plan.divides else 1
    geometry = Geometry(outer[0], outer[1], inner, axes[0], axes[1], axes[2], divisor)
    return Layout(geometry, starts, span(plan.shape, x_strides), span(plan.out_shape, y_strides))
