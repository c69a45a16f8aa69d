"""Integers for positions and offsets in kernels: 32 or 64 bits wide, and staying so.

Numba widens every integer sum and product to 64 bits. On a GPU that doubles the index arithmetic (and a 64-bit division
takes 70 instructions or more), so the compiled kernels count in these types. An operation of two of them has the wider
one's width, and one with any other integer keeps the Index's: the shared window arithmetic compiles unchanged.

Nothing may overflow (the plan chooses the width), and `//` and `%` are of non-negative numbers only.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba.cuda import extending, types
from numba.cuda.cudadecl import registry as typing_registry
from numba.cuda.cudaimpl import registry as lowering_registry
from numba.cuda.typeconv import Conversion
from numba.cuda.typing.templates import AbstractTemplate, signature


class Index(types.Type):
    """A signed integer of 32 or 64 bits. No types.Number: those must have a NumPy dtype, and unify by it."""

    def __init__(self, bits):
        self.bits = bits
        super().__init__(name=f"index{bits}")

    def unify(self, typingctx, other):
        """The Index's own type wins over Numba's integers; of two, the wider."""
        return common(self, other) if isinstance(other, (Index, types.Integer)) else None

    def can_convert_to(self, typingctx, other):
        """To Numba's numbers; to integers of its own width first."""
        if isinstance(other, types.Integer):
            if other.bitwidth < self.bits or not other.signed:
                return Conversion.unsafe
            return Conversion.promote if other.bitwidth == self.bits else Conversion.safe
        return Conversion.unsafe if isinstance(other, types.Float) else None

    def can_convert_from(self, typingctx, other):
        """From Numba's integers, which are thread numbers and constants, and from narrower Indices."""
        if isinstance(other, Index):
            return Conversion.promote if other.bits < self.bits else None
        return Conversion.unsafe if isinstance(other, types.Integer) else None


index32 = Index(32)


def common(a, b):
    """The Index type of an operation, None where neither is one or the other is no integer."""
    if isinstance(a, Index) and isinstance(b, Index):
        return a if a.bits >= b.bits else b
    if isinstance(a, Index) and isinstance(b, types.Integer):
        return a
    return b if isinstance(b, Index) and isinstance(a, types.Integer) else None


@extending.register_model(Index)
class IndexModel(extending.models.PrimitiveModel):
    """A plain LLVM integer."""

    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.IntType(fe_type.bits))


ARITHMETIC = {
    operator.add: lambda b, x, y: b.add(x, y, flags=("nsw",)),
    operator.sub: lambda b, x, y: b.sub(x, y, flags=("nsw",)),
    operator.mul: lambda b, x, y: b.mul(x, y, flags=("nsw",)),
    operator.floordiv: lambda b, x, y: b.udiv(x, y),
    operator.mod: lambda b, x, y: b.urem(x, y),
}
INPLACE = {operator.iadd: operator.add, operator.isub: operator.sub}
COMPARISONS = {
    operator.lt: "<",
    operator.le: "<=",
    operator.gt: ">",
    operator.ge: ">=",
    operator.eq: "==",
    operator.ne: "!=",
}


def _register(function, generate, result):
    """Type and lower a binary operation for which `common` finds a type; `result` is None for that type itself."""

    class Template(AbstractTemplate):
        key = function

        def generic(self, args, kws):
            both = common(*args) if len(args) == 2 and not kws else None
            return None if both is None else signature(result or both, both, both)

    typing_registry.register_global(function)(Template)

    def lower(context, builder, sig, args):
        return generate(builder, *args)

    lowering_registry.lower(function, Index, Index)(lower)


def _compare(sign):
    return lambda builder, x, y: builder.icmp_signed(sign, x, y)


for _function, _generate in ARITHMETIC.items():
    _register(_function, _generate, None)
for _function, _plain in INPLACE.items():
    _register(_function, ARITHMETIC[_plain], None)
for _function, _sign in COMPARISONS.items():
    _register(_function, _compare(_sign), types.boolean)


def _resized(builder, value, bits, signed):
    """An LLVM integer of another width."""
    width = ir.IntType(bits)
    if value.type.width > bits:
        return builder.trunc(value, width)
    if value.type.width == bits:
        return value
    return builder.sext(value, width) if signed else builder.zext(value, width)


@extending.lower_cast(Index, Index)
@extending.lower_cast(Index, types.Integer)
def _to_integer(context, builder, fromty, toty, value):
    return _resized(builder, value, context.get_value_type(toty).width, True)


@extending.lower_cast(types.Integer, Index)
def _from_integer(context, builder, fromty, toty, value):
    return _resized(builder, value, toty.bits, fromty.signed)


@extending.lower_cast(types.IntegerLiteral, Index)
def _from_literal(context, builder, fromty, toty, value):
    return ir.Constant(ir.IntType(toty.bits), fromty.literal_value)


@extending.lower_cast(Index, types.Float)
def _to_float(context, builder, fromty, toty, value):
    return builder.sitofp(value, context.get_value_type(toty))
