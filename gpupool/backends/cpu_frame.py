"""How the operands of a job become dense arrays (outer, D, H, W, inner), and the integers that its kernels read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gpupool.axes import PooledAxis
from gpupool.geometry import NO_AXIS, NO_BATCH, make_axis, memory_order
from gpupool.jobs import JobPlan, gone_axes
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.frame import FRAME, Frame, fill_adaptive_tables, fill_fractional_tables, fill_tables
from gpupool.kernels.window import Axis, Batch, Fractional, Geometry, Sliding
from gpupool.threads import run_pieces

from .cpu import SERIAL_ELEMENTS

NO_WINDOW = PooledAxis(0, 1, 1, 1, 1, 1, 0, 0)  # of an axis that is not there
Runner = Callable[[list[np.ndarray], np.ndarray], None]


class Runners(NamedTuple):
    """Of a call that may find its operands wrong as it goes: the ways into a user's array and into one of our own.

    Only our own, which nobody has seen, may be half written by then.
    """

    into: Runner
    new: Runner


class Form(NamedTuple):
    """The axes in the kernels' order, and the lengths of (outer, D, H, W, inner) along the input and the result."""

    order: tuple[int, ...]
    x: tuple[int, ...]
    y: tuple[int, ...]


def make_form(plan: JobPlan, strides: tuple[int, ...]) -> Form:
    """The form that costs no copy where the input is dense with its pooled axes side by side and in order."""
    forward = plan.forward
    pooled = [a.axis for a in forward.pooled]
    found = memory_order(forward.shape, strides)
    last = max((found.index(a) for a in pooled), default=-1) if pooled else len(found)
    inner = [a for i, a in enumerate(found) if i > last and a not in pooled]
    outer = [a for i, a in enumerate(found) if i <= last and a not in pooled]
    n = [forward.shape[a] for a in outer], [forward.shape[a] for a in inner]
    ones = (1,) * (3 - len(pooled))
    x = (math.prod(n[0]), *ones, *(a.n for a in forward.pooled), math.prod(n[1]))
    y = (math.prod(n[0]), *ones, *(a.out for a in forward.pooled), math.prod(n[1]))
    return Form((*outer, *pooled, *inner), x, y)


def upright(plan: JobPlan, form: Form) -> tuple[JobPlan, Form]:
    """The same with an only pooled axis as H, and a W of one element: its positions are rows then, of channels."""
    forward = plan.forward._replace(pooled=(*plan.pooled, NO_WINDOW))
    x, y = ((n[0], 1, n[3], 1, n[4]) for n in (form.x, form.y))
    return plan._replace(forward=forward), Form(form.order, x, y)


def dense(array: np.ndarray, order: tuple[int, ...], gone: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The array with its axes in this order, dense and native: a view where it can be."""
    if gone:
        array = np.expand_dims(array, gone)
    return np.require(array.transpose(order), dtype, ("C", "A"))


def make_frame(form: Form, plan: JobPlan) -> np.ndarray:
    """The integers of a Frame, with the tables of all three axes behind them."""
    request = plan.request
    axes = list(plan.pooled)
    missing = 3 - len(axes)
    lengths = [n + 3 * out for n, out in zip(form.x[1:4], form.y[1:4], strict=True)]
    room = sum(n + length for n, length in zip(form.x[1:4], lengths, strict=True))
    packed = np.zeros(FRAME + room, np.int64)
    at = packed.ctypes.data + 8 * FRAME
    tables, steps = [], []
    for i in range(3):
        n, out = form.x[1 + i], form.y[1 + i]
        first, count, divisors = at, at + 8 * n, at + 16 * n
        at += 8 * (2 * n + 3 * out)
        tables += [first, count, divisors]
        window = (1, 1, 1, 0, 0, n)
        if i >= missing and isinstance(plan.forward.rule, Sliding):
            a = axes[i - missing]
            counted = (-a.before, a.n + a.after) if request.count_include_pad else (0, a.n)
            window = (a.k, a.s, a.d, a.before, *counted)
        steps.append(window[2] // math.gcd(window[1], window[2]))
        if i >= missing and isinstance(plan.forward.rule, Fractional):
            fill_fractional_tables(n, out, axes[i - missing].k, first, count)
        elif i >= missing and not isinstance(plan.forward.rule, Sliding):
            fill_adaptive_tables(n, out, first, count, divisors)
        else:
            fill_tables(n, out, *window, first, count, divisors)
    divisor = request.divisor_override or 0
    packed[:FRAME] = (form.x[0], form.x[4], *form.x[1:4], *form.y[1:4], *steps, divisor, *tables)
    return packed


def three_pooled(plan: JobPlan) -> list[PooledAxis]:
    """The pooled axes as [D, H, W]."""
    return [NO_WINDOW] * (3 - len(plan.pooled)) + list(plan.pooled)


def three_axes(plan: JobPlan) -> tuple[Axis, Axis, Axis]:
    """The pooled axes as (D, H, W), without strides."""
    d, h, w = [NO_AXIS] * (3 - len(plan.pooled)) + [make_axis(plan.forward, a, 0, 0) for a in plan.pooled]
    return d, h, w


def dense_geometry(plan: JobPlan, form: Form) -> Geometry:
    """Dense arrays (outer, D, H, W, inner) as the point engine sees them."""
    axes = list(three_axes(plan))
    xs = ys = form.x[4]
    for i in (2, 1, 0):
        axes[i] = axes[i]._replace(xs=xs, ys=ys)
        xs, ys = xs * axes[i].n, ys * axes[i].out
    divisor = plan.request.divisor_override or 0
    return Geometry(Batch(form.x[0], xs, ys), NO_BATCH, Batch(form.x[4], 1, 1), axes[0], axes[1], axes[2], divisor)


def tap_distances(axes: list[PooledAxis], f: Frame) -> np.ndarray:
    """How far each tap of a window lies from its first, in elements of the input's plane."""
    d, h, w = axes
    taps = np.indices((d.k, h.k, w.k)).reshape(3, -1)
    return (((taps[0] * d.d * f.h + taps[1] * h.d) * f.w + taps[2] * w.d) * f.inner).astype(np.int32)


def new_result(plan: JobPlan, like: Any) -> np.ndarray:
    """A new result in the memory order of the operand that it is like."""
    shape = plan.out_shape
    order = memory_order(plan.forward.shape, like.strides)
    gone = gone_axes(plan) if plan.out_side == "y" else ()
    kept = tuple(a for a in range(len(order)) if a not in gone)
    order = tuple(kept.index(a) for a in order if a in kept)
    empty = np.empty(tuple(shape[a] for a in order), plan.out_dtype)
    return empty.transpose(tuple(order.index(a) for a in range(len(order))))


def launch(code: jit.Compiled, addresses: tuple[int, ...], constants: tuple, units: int, elements: int) -> None:
    """Units of work on as many threads as they are worth."""
    piece = max(1, SERIAL_ELEMENTS * units // max(1, elements))
    run_pieces(code, addresses, constants, units, piece)
