"""Typed device memory in kernels: `x[i]` is one load or store, without bounds or wrap-around.

Numba's own pointers would do, but for two things: what a kernel only reads may go through the read-only data cache
(`ld.global.nc`; Numba never says so), and indices are of the kernels' own type.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba.cuda import extending, types
from numba.cuda.cudadecl import registry as typing_registry
from numba.cuda.cudaimpl import registry as lowering_registry
from numba.cuda.typing.templates import AbstractTemplate, signature

from .index import Index


class Memory(types.Type):
    """A pointer to elements of `dtype`; `constant` promises that nothing writes there while the kernel runs."""

    def __init__(self, dtype, constant):
        self.dtype = dtype
        self.constant = constant
        super().__init__(name=f"{'const ' if constant else ''}{dtype}*")


@extending.register_model(Memory)
class MemoryModel(extending.models.PrimitiveModel):
    """A plain LLVM pointer."""

    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.PointerType(dmm.lookup(fe_type.dtype).get_data_type()))


def mark_constant(builder, load):
    """Let the compiler use the read-only path for a load."""
    load.set_metadata("invariant.load", builder.module.add_metadata([]))


@typing_registry.register_global(operator.getitem)
class _Get(AbstractTemplate):
    key = operator.getitem

    def generic(self, args, kws):
        memory, i = args
        return signature(memory.dtype, memory, i) if isinstance(memory, Memory) and isinstance(i, Index) else None


@typing_registry.register_global(operator.setitem)
class _Set(AbstractTemplate):
    key = operator.setitem

    def generic(self, args, kws):
        memory, i, _ = args
        good = isinstance(memory, Memory) and not memory.constant and isinstance(i, Index)
        return signature(types.none, memory, i, memory.dtype) if good else None


def element(builder, pointer, i):
    """The address of element i."""
    return builder.gep(pointer, [builder.sext(i, ir.IntType(64)) if i.type.width < 64 else i], inbounds=True)


@lowering_registry.lower(operator.getitem, Memory, Index)
def _load(context, builder, sig, args):
    load = builder.load(element(builder, *args))
    if sig.args[0].constant:
        mark_constant(builder, load)
    return load


@lowering_registry.lower(operator.setitem, Memory, Index, types.Any)
def _store(context, builder, sig, args):
    pointer, i, value = args
    builder.store(value, element(builder, pointer, i))
