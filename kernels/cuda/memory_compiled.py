"""Compiler intrinsics for the GPU; memory_simulated.py holds their twins."""

from __future__ import annotations

from llvmlite import ir
from numba.cuda import types
from numba.cuda.extending import intrinsic

from .index import Index, index32
from .pointer import element, mark_constant

U16, U32, F32 = ir.IntType(16), ir.IntType(32), ir.FloatType()


@intrinsic
def index(typingctx, number):
    """A thread or block number as an index."""

    def generate(context, builder, signature, args):
        return context.cast(builder, args[0], number, index32)

    return index32(number), generate


@intrinsic
def number(typingctx, i):
    """An index as one of Numba's own integers, for arithmetic on values."""
    plain = (types.int32 if i.bits == 32 else types.int64) if isinstance(i, Index) else types.int64

    def generate(context, builder, signature, args):
        return context.cast(builder, args[0], i, plain)

    return plain(i), generate


@intrinsic
def unsigned(typingctx, i):
    """An index into a kernel's own array: Numba lets a signed one count from the end, which takes 3 instructions."""

    def generate(context, builder, signature, args):
        return context.cast(builder, args[0], i, types.int64)  # by its sign: constant offsets become part of a load

    return types.uint64(i), generate


@intrinsic
def bits_of(typingctx, f):
    """The 32 bits of a float32."""

    def generate(context, builder, signature, args):
        return builder.bitcast(context.cast(builder, args[0], f, types.float32), U32)

    return types.uint32(f), generate


@intrinsic
def float_of(typingctx, u):
    """The float32 with these 32 bits."""

    def generate(context, builder, signature, args):
        return builder.bitcast(context.cast(builder, args[0], u, types.uint32), F32)

    return types.float32(u), generate


@intrinsic
def quotient(typingctx, i, n, magic, shift):
    """i // n for i below 2**31: a multiplication that keeps the upper half, and a shift."""
    if n.bits == 64:

        def divide(context, builder, signature, args):
            return builder.udiv(context.cast(builder, args[0], i, n), args[1])

        return n(i, n, magic, shift), divide

    def generate(context, builder, signature, args):
        wide = ir.IntType(64)
        twice = builder.shl(args[0], ir.Constant(U32, 1))
        product = builder.mul(builder.zext(twice, wide), builder.zext(args[2], wide))
        return builder.lshr(builder.trunc(builder.lshr(product, ir.Constant(wide, 32)), U32), args[3])

    return i(i, n, magic, shift), generate


def _word(size, count):
    """The LLVM type by which `count` elements of `size` bytes are moved: words of at least 32 bits where it can be."""
    unit = 4 if size < 4 else size
    unit = unit if unit < size * count else size * count
    words = size * count // unit
    return unit, (ir.IntType(8 * unit) if words == 1 else ir.VectorType(ir.IntType(8 * unit), words)), words


def _split_words(builder, loaded, unit, words, size, count, target):
    """The elements inside loaded words."""
    elements = []
    small = ir.IntType(8 * size)
    for j in range(count):
        word = loaded if words == 1 else builder.extract_element(loaded, ir.Constant(U32, j * size // unit))
        shift = 8 * (j * size % unit)
        bits = builder.lshr(word, ir.Constant(word.type, shift)) if shift else word
        bits = builder.trunc(bits, small) if unit > size else bits
        elements.append(bits if target == small else builder.bitcast(bits, target))
    return elements


@intrinsic
def load_vector(typingctx, x, i, count):
    """Elements i .. i + count - 1 by one aligned load."""
    if not isinstance(count, types.IntegerLiteral):
        return None  # Numba asks again with the literal
    n, dtype = count.literal_value, x.dtype

    def generate(context, builder, signature, args):
        target = context.get_data_type(dtype)
        size = context.get_abi_sizeof(target)
        unit, vector, words = _word(size, n)
        address = builder.bitcast(element(builder, args[0], args[1]), ir.PointerType(vector))
        loaded = builder.load(address, align=size * n)
        if x.constant:
            mark_constant(builder, loaded)
        parts = _split_words(builder, loaded, unit, words, size, n, target)
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(dtype, n)(x, i, count), generate


@intrinsic
def store_vector(typingctx, y, i, values, start, count):
    """Store values[start : start + count], which are of y's type, as elements i .. by one aligned store."""
    if not isinstance(count, types.IntegerLiteral):
        return None  # Numba asks again with the literal
    n, dtype = count.literal_value, y.dtype

    def generate(context, builder, signature, args):
        size = context.get_abi_sizeof(context.get_data_type(dtype))
        unit, vector, words = _word(size, n)
        array = context.make_array(values)(context, builder, args[2])
        small, each, packed = ir.IntType(8 * size), unit // size, ir.Constant(vector, ir.Undefined)
        first = context.cast(builder, args[3], start, types.int64)
        for k in range(words):
            word = None
            for j in range(each):
                at = builder.add(first, ir.Constant(first.type, k * each + j))
                bits = builder.load(builder.gep(array.data, [at], inbounds=True))
                bits = bits if bits.type == small else builder.bitcast(bits, small)
                bits = builder.zext(bits, ir.IntType(8 * unit)) if unit > size else bits
                bits = builder.shl(bits, ir.Constant(bits.type, 8 * size * j)) if j else bits
                word = bits if word is None else builder.or_(word, bits)
            packed = word if words == 1 else builder.insert_element(packed, word, ir.Constant(U32, k))
        address = builder.bitcast(element(builder, args[0], args[1]), ir.PointerType(vector))
        builder.store(packed, address, align=size * n)

    return types.none(y, i, values, start, count), generate


@intrinsic
def atomic_max(typingctx, y, i, value):
    """y[i], a signed integer, becomes the larger of itself and a value, in one step."""

    def generate(context, builder, signature, args):
        wanted = context.cast(builder, args[2], value, y.dtype)
        builder.atomic_rmw("max", element(builder, args[0], args[1]), wanted, "monotonic")

    return types.none(y, i, value), generate


def _assembly(builder, result, argument, text, constraints, value):
    """One PTX instruction without side effects."""
    return builder.call(ir.InlineAsm(ir.FunctionType(result, [argument]), text, constraints), [value])


@intrinsic
def half_decode(typingctx, codec, raw):
    """The float32 of a float16's 16 bits."""

    def generate(context, builder, signature, args):
        return _assembly(builder, F32, U16, "cvt.f32.f16 $0, $1;", "=f,h", args[1])

    return types.float32(codec, raw), generate


@intrinsic
def half_encode(typingctx, codec, value):
    """A float's bits as float16, rounded half to even."""

    def generate(context, builder, signature, args):
        single = context.cast(builder, args[1], value, types.float32)
        return _assembly(builder, U16, F32, "cvt.rn.f16.f32 $0, $1;", "=h,f", single)

    return types.uint16(codec, value), generate


@intrinsic
def ratio_of(typingctx, a, b):
    """a / b, of float32 within 2 ulp: rounded exactly, the shares of two 2x2 windows take 160 instructions more."""
    if a != types.float32 or b != types.float32:
        return a(a, a), lambda context, builder, signature, args: builder.fdiv(*args)

    def generate(context, builder, signature, args):
        divide = ir.InlineAsm(ir.FunctionType(F32, [F32, F32]), "div.full.f32 $0, $1, $2;", "=f,f,f")
        return builder.call(divide, args)

    return a(a, b), generate


@intrinsic
def quotient_of(typingctx, total, rest, count):
    """(total + rest) / count in float32; NaN in the rest is no matter. A division would call functions, as above.

    The quotient by the reciprocal is corrected by its remainder, which is exact: products of integers below 2**24 are
    multiples of the least float.
    """

    def generate(context, builder, signature, args):
        total, rest = args[0], args[1]
        n = context.cast(builder, args[2], count, types.float32)
        less, one = builder.fsub(ir.Constant(F32, -0.0), n), ir.Constant(F32, 1.0)
        r = _assembly(builder, F32, F32, "rcp.approx.ftz.f32 $0, $1;", "=f,f", n)
        r = builder.fma(builder.fma(less, r, one), r, r)
        plain = builder.fmul(total, r)
        whole = builder.fma(builder.fadd(builder.fma(less, plain, total), rest), r, plain)
        return builder.select(builder.fcmp_ordered("ord", whole, whole), whole, plain)

    return types.float32(types.float32, types.float32, count), generate


NAMES = {"bits_of": bits_of, "float_of": float_of, "ratio_of": ratio_of, "quotient_of": quotient_of}
