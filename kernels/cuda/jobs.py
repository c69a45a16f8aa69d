"""Kernels with several operands: `kernel(arrays..., geometry, steps, walk, first, count)`.

The geometry says how windows lie; each array has its own strides in `steps`, in the order of the arguments. Kernels
that divide by other axes than those of the walk take a tuple of them after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..window import Axis, Batch, Geometry
from .compile import Kernel
from .walk import Cut, Walk


class Steps(NamedTuple):
    """The strides of one array in elements, along (outer, outer2, inner, d, h, w)."""

    outer: int
    outer2: int
    inner: int
    d: int
    h: int
    w: int


@dataclass(frozen=True, eq=False)
class JobKernel(Kernel):
    """A kernel whose arrays are `memories`: payloads, and whether the kernel only reads them. Most have no reducer."""

    memories: tuple[tuple[str, bool], ...] = ()
    divisors: int = 0  # how many axes the kernel divides by beside those of the walk

    @property
    def operator(self) -> str:
        """The reducer's name, if there is one: mostly the engine's name says what is computed."""
        return super().operator if self.red is not None else ""

    @property
    def memory(self) -> tuple:
        """What the arrays hold and which are read only, and how many divisors come beside them."""
        return self.memories, self.divisors

    def signature(self) -> tuple[Any, ...]:
        """The types of the arguments."""
        from numba.cuda import types

        from .index import Index
        from .pointer import Memory

        i, o = Index(self.index_bits), Index(self.offset_bits)
        batch = types.NamedTuple((i, o, o), Batch)
        axis = types.NamedTuple((i,) * 8 + (o, o), Axis)
        geometry = types.NamedTuple((batch, batch, batch, axis, axis, axis, i), Geometry)
        steps = types.UniTuple(types.NamedUniTuple(o, 6, Steps), len(self.memories))
        cut = types.NamedUniTuple(i, len(Cut._fields), Cut)
        walk = types.NamedUniTuple(cut, 5, Walk)
        by = (types.UniTuple(cut, self.divisors),) if self.divisors else ()
        memories = [Memory(getattr(types, name), constant) for name, constant in self.memories]
        return (*memories, geometry, steps, walk, *by, i, i)
