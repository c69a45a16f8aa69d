"""Hostile memory: the same values in many memory layouts, as a base buffer and the views that lead to them.

A layout is `(base, steps)`: the buffer and a few transpositions, slices and broadcasts that any array library has, so
that each backend builds its own view. What the view leaves out of the buffer is filled with poison.
"""

from dataclasses import dataclass

import numpy as np

EVERYTHING = (
    "C",
    "F",
    "inner1",
    "inner0",
    "reversed",
    "flip",
    "flip0",
    "step",
    "offset",
    "mixed",
    "guarded",
    "readonly",
)
NEGATIVE = ("reversed", "flip", "flip0", "mixed")
BROADCAST = ("broadcast", "broadcast_last", "broadcast_all")


@dataclass(frozen=True)
class Layout:
    """A buffer, and the steps from it to the array that is meant."""

    base: np.ndarray
    steps: tuple = ()
    writeable: bool = True

    def view(self, base=None):
        """The array that is meant, as a view of `base` (this layout's own, or another library's copy of it)."""
        array = self.base if base is None else base
        for step, value in self.steps:
            array = STEPS[step](array, value)
        if base is None:
            array.flags.writeable = self.writeable
        return array


STEPS = {
    "transpose": lambda array, axes: array.transpose(axes),
    "index": lambda array, slices: array[slices],
    "broadcast": np.broadcast_to,
}


def poison(dtype):
    """A value that would change any result it gets into."""
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        return np.iinfo(dtype).max
    return True if dtype.kind == "b" else np.nan


def transposed(a, order):
    """`a` in a buffer whose axes are `a`'s axes in this order."""
    return Layout(np.ascontiguousarray(a.transpose(order)), (("transpose", tuple(np.argsort(order).tolist())),))


def embedded(a, shape, slices):
    """`a` inside a larger poisoned buffer."""
    base = np.full(shape, poison(a.dtype), a.dtype)
    base[slices] = a
    return Layout(base, (("index", slices),))


def broadcast(a, axes):
    """`a`, constant along these axes, with stride 0 there."""
    first = tuple(slice(0, 1) if i in axes else slice(None) for i in range(a.ndim))
    return Layout(a[first].copy(order="C"), (("broadcast", a.shape),))


def mixed(a):
    """Axes in reverse order, every second element, last axis backwards."""
    slices = (slice(1, None, 2),) * (a.ndim - 1) + (slice(None, None, -1),)
    shape = tuple(2 * n + 1 for n in a.shape[:-1]) + a.shape[-1:]
    inside = embedded(a, shape, slices)
    order = tuple(reversed(range(a.ndim)))
    return Layout(np.ascontiguousarray(inside.base.transpose(order)), (("transpose", order), *inside.steps))


def build(a, name="C"):
    """The values of `a` in the named layout."""
    a, nd = np.asarray(a), np.ndim(a)
    backwards, forwards = slice(None, None, -1), slice(None)
    if name in ("C", "readonly"):
        return Layout(a.copy(order="C"), writeable=name == "C")
    if name.startswith("inner"):  # this axis is the innermost in memory
        axis = int(name[5:])
        return transposed(a, (*(i for i in range(nd) if i != axis), axis))
    return {
        "F": lambda: transposed(a, tuple(reversed(range(nd)))),
        "reversed": lambda: embedded(a, a.shape, (backwards,) * nd),
        "flip": lambda: embedded(a, a.shape, (..., backwards)),
        "flip0": lambda: embedded(a, a.shape, (backwards,) + (forwards,) * (nd - 1)),
        "step": lambda: embedded(a, tuple(2 * n + 1 for n in a.shape), (slice(1, None, 2),) * nd),
        "offset": lambda: embedded(a, (*a.shape[:-1], a.shape[-1] + 1), (..., slice(1, None))),
        "mixed": lambda: mixed(a),
        "guarded": lambda: embedded(a, tuple(n + 6 for n in a.shape), tuple(slice(3, 3 + n) for n in a.shape)),
        "broadcast": lambda: broadcast(a, {0}),
        "broadcast_last": lambda: broadcast(a, {nd - 1}),
        "broadcast_all": lambda: broadcast(a, set(range(nd))),
    }[name]()


def constant_where_broadcast(a, name):
    """Values that the layout can hold: repeated along the axes that a broadcast layout has only once."""
    return build(a, name).view() if name in BROADCAST else a
