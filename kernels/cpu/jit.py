"""How plain functions become CPU kernels: compiler settings, the cache, and what the shared functions stand for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple, get_type_hints

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import njit, typeof, types
from numba.core import cgutils
from numba.core.ccallback import CFunc
from numba.core.datamodel.models import OmittedArgDataModel
from numba.core.datamodel.registry import register_default
from numba.extending import intrinsic, overload, register_jitable

from .. import codecs, exact, extremes, gradient, integer_means, means, norms, point, ranks, window
from ..cache import collector_paused
from ..window import Geometry
from . import raising
from .cache import KernelCache, closure_key

SHARED = (
    window.extent,
    window.lesser,
    window.greater,
    window.first_tap,
    window.tap_range,
    window.tap_count,
    window.adaptive_range,
    codecs.bits_of,
    codecs.float_of,
    norms.ratio_of,
    gradient.power,
    exact.split_signed,
    exact.split_unsigned,
    exact.divide_exact,
    exact.mean_exact,
    exact.round_exact,
    integer_means.shift_of,
    integer_means.nearest_even,
    integer_means.half_to_even,
    means.quotient_of,
    means.known_one,
    means.known_both,
    means.known_divisor,
    point.reduce_row,
    point.reduce_spans,
    point.reduce_window,
    point.divisor,
    ranks.window_box,
    ranks.survey,
    ranks.ranked,
    ranks.between,
    ranks.next_above,
    ranks.tally,
    ranks.smallest,
)


def called(function: Any) -> Any:
    """A helper of kernels that stays a function: loops keep their vector code there."""
    return register_jitable(function)


def inlined(function: Any) -> Any:
    """A helper that is pasted into its caller: a call would pass a Geometry's forty integers by the stack."""
    return register_jitable(inline="always")(function)


for function in SHARED:
    called(function)


def kernel(function: Any) -> Any:
    """Compile a loop for the CPU: no GIL, NumPy's division, no fastmath, cached on disk."""
    compiled = njit(nogil=True, error_model="numpy")(function)
    compiled._cache = KernelCache(function)
    return compiled


class Constant(types.Omitted):
    """The type of an argument whose value is compiled in: machine code has no such argument.

    Numba's own class takes values for the same that compare equal, as empty tuples of two classes do.
    """

    @property
    def key(self) -> tuple:
        return typeof(self.value), repr(self.value)


register_default(Constant)(OmittedArgDataModel)


class Compiled(NamedTuple):
    """Machine code: a function of integers and constants, and its address, which `workers` call with integers alone."""

    call: Callable[..., Any]
    address: int


def compiled(kernel: Any, integers: int, constants: tuple) -> Compiled:
    """The machine code of a kernel for so many integers, then these constants."""
    signature = (types.int64,) * integers + tuple(map(Constant, constants))
    with collector_paused():
        call = kernel.compile(signature)
    result = kernel.overloads[signature]
    return Compiled(call, result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


# A reducer, codec or window rule is known by its type alone, so its functions are found at compile time.
@overload(point.seed, jit_options=raising.PASTED)
def _seed(red, v, at):
    return red.instance_class.seed


@overload(point.combine, jit_options=raising.PASTED)
def _combine(red, a, b):
    return red.instance_class.combine


@overload(point.finish, jit_options=raising.PASTED)
def _finish(red, acc, count):
    return red.instance_class.finish


@overload(extremes.unless_nan)
def _unless_nan(b, best):
    if isinstance(b, types.Float):
        # The same NaN as b; with b itself LLVM joins both selects, and two compares take the place of one and a max
        # instruction (3 taps: 0.14 ns an element instead of 0.11).
        return lambda b, best: b + b if b != b else best
    return lambda b, best: best


@overload(point.select)
def _select(x, codec, red, box):
    return red.instance_class.select


@overload(point.decode)
def _decode(codec, raw):
    if HALVES and codec.instance_class is codecs.Half:
        return lambda codec, raw: float_of_half(raw)
    return codec.instance_class.decode


@overload(point.encode)
def _encode(codec, value):
    if HALVES and codec.instance_class is codecs.Half:
        return _encode_half
    return codec.instance_class.encode


# Whether the processor converts float16 itself: by bit arithmetic, a 2x2 maximum takes eight times as long.
HALVES = bool(get_host_cpu_features().get("f16c", False))


@intrinsic
def float_of_half(typingctx, raw):
    """The float32 of 16 bits."""

    def generate(context, builder, signature, args):
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), generate


@intrinsic
def half_of_float(typingctx, value):
    """The 16 bits of a float32, rounded half to even."""

    def generate(context, builder, signature, args):
        return builder.bitcast(builder.fptrunc(args[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), generate


def _encode_half(codec, value):
    f = np.float32(value)
    h = half_of_float(f)
    return h if f == f else np.uint16((h & np.uint16(0x8000)) | np.uint16(0x7E00))  # one NaN for all, as in `codecs`


@overload(point.span)
def _span(rule, a, o):
    return rule.instance_class.span


@overload(point.counted)
def _counted(rule, a, o):
    return rule.instance_class.counted


@intrinsic
def pointer(typingctx, address, dtype):
    """An address as a C pointer to elements of `dtype`: indexing it is one load, without bounds or wrap-around."""
    if not isinstance(dtype, types.DType):
        return None

    def generate(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(dtype.dtype)(types.intp, dtype), generate


def _fields_of(layout: type) -> types.BaseTuple:
    """The type of a NamedTuple whose fields are integers, or again such tuples."""
    hints = get_type_hints(layout)
    fields = [types.int64 if hints[f] is int else _fields_of(hints[f]) for f in layout._fields]  # type: ignore[attr-defined]
    return types.BaseTuple.from_types(fields, layout)


@intrinsic
def unpacked(typingctx, address, layout):
    """The NamedTuple of this class at an address, its integers one after another: one argument for all of them."""
    if not isinstance(layout, types.NamedTupleClass):
        return None

    def load(context, builder, kind, integers):
        if not isinstance(kind, types.BaseTuple):
            return builder.load(next(integers))
        return context.make_tuple(builder, kind, [load(context, builder, part, integers) for part in kind])

    def generate(context, builder, signature, args):
        p = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        integers = (builder.gep(p, [ir.IntType(64)(i)]) for i in itertools.count())
        return load(context, builder, signature.return_type, integers)

    return _fields_of(layout.instance_class)(types.int64, layout), generate


@intrinsic
def size_of(typingctx, dtype):
    """Bytes of an element of `dtype`."""

    def generate(context, builder, signature, args):
        return ir.Constant(ir.IntType(64), context.get_abi_sizeof(context.get_value_type(dtype.dtype)))

    return types.int64(dtype), generate


READ = "read"


def _scopes(module: Any, names: tuple[str, ...] = (READ,)) -> Any:
    """Alias scopes as a list to attach: of what passes read, or of rows that they write."""
    domain = module.add_metadata([ir.MetaDataString(module, "gpupool")])
    return module.add_metadata([module.add_metadata([ir.MetaDataString(module, name), domain]) for name in names])


@intrinsic
def fetch(typingctx, p, i):
    """p[i] of a loop that never writes where it reads so: it needs not check that at run time."""

    def generate(context, builder, signature, args):
        value = builder.load(builder.gep(args[0], [args[1]]))
        value.set_metadata("alias.scope", _scopes(builder.module))
        return value

    return p.dtype(p, types.intp), generate


@intrinsic
def fetch_alone(typingctx, p, i):
    """p[i] of a loop whose step is not known: an atomic load, only so that the loop stays as it is.

    LLVM else gathers vectors element by element, which takes 5 ns an element instead of 1.
    """

    def generate(context, builder, signature, args):
        item = context.get_abi_sizeof(context.get_value_type(p.dtype))
        return builder.load_atomic(builder.gep(args[0], [args[1]]), "monotonic", item)

    return p.dtype(p, types.intp), generate


@intrinsic
def put(typingctx, p, i, value):
    """p[i] = value of a pass, cast to the element's type: see `fetch`."""

    def generate(context, builder, signature, args):
        data = context.cast(builder, args[2], value, p.dtype)
        builder.store(data, builder.gep(args[0], [args[1]])).set_metadata("noalias", _scopes(builder.module))
        return context.get_dummy_value()

    return types.none(p, types.intp, value), generate


def _put_row(row: int) -> Any:
    """`put` into one of several rows that no two elements of a loop share: vector loops need no checks for that."""
    others = (READ, *(f"row {r}" for r in range(ROWS) if r != row))

    @intrinsic
    def put_row(typingctx, p, i, value):
        def generate(context, builder, signature, args):
            data = context.cast(builder, args[2], value, p.dtype)
            store = builder.store(data, builder.gep(args[0], [args[1]]))
            store.set_metadata("alias.scope", _scopes(builder.module, (f"row {row}",)))
            store.set_metadata("noalias", _scopes(builder.module, others))
            return context.get_dummy_value()

        return types.none(p, types.intp, value), generate

    return put_row


ROWS = 4
put0, put1, put2, put3 = (_put_row(row) for row in range(ROWS))


@intrinsic
def fetch0(typingctx, p, i):
    """p[i] of such a row: after what `put0` stores, whatever is put into the others."""

    def generate(context, builder, signature, args):
        value = builder.load(builder.gep(args[0], [args[1]]))
        value.set_metadata("alias.scope", _scopes(builder.module, ("row 0",)))
        return value

    return p.dtype(p, types.intp), generate


@intrinsic
def invoke(typingctx, address, arguments):
    """Call the C function of 64-bit integers at this address."""

    def generate(context, builder, signature, args):
        values = cgutils.unpack_tuple(builder, args[1])
        word = ir.IntType(64)
        function = builder.inttoptr(args[0], ir.FunctionType(word, [word] * len(values)).as_pointer())
        return builder.call(function, values)

    return types.int64(types.int64, arguments), generate


_c_functions: dict[str, Any] = {}


def c_function(function: Any) -> int:
    """The address of a closure over dtypes, codecs and reducers, compiled as a C function of 64-bit integers."""
    key = closure_key(function)
    if key not in _c_functions:
        count = function.__code__.co_argcount
        compiled: Any = CFunc(function, ((types.int64,) * count, types.int64), {}, {"error_model": "numpy"})
        compiled._cache = KernelCache(function, key)
        with collector_paused():
            compiled.compile()
        _c_functions[key] = compiled
    return int(_c_functions[key].address)


def integers(layout: tuple) -> list[int]:
    """A tuple of integers, or again of such tuples, one after another, as `unpacked` reads them."""
    return [n for part in layout for n in (integers(part) if isinstance(part, tuple) else (part,))]


def pack(g: Geometry) -> np.ndarray:
    """A Geometry as forty int64."""
    return np.array(integers(g), np.int64)
