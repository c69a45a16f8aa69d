"""How loops reach memory: hints to the processor that plain Python has no words for, and copies past the caches."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.extending import intrinsic

from ..window import lesser
from .jit import called, pointer

BYTE = np.dtype(np.uint8)
LINE = 64  # bytes of a cache line
PAGE = 4096
# Bytes of the input that loops ask for before they get there. One thread, in ms:
#   3x3 maxima of 28x28 planes 3.1 instead of 3.8, with stride 2 of 112x112 planes 11.1 instead of 14.1;
#   gradients of 2x2 maxima of 112x112 planes, past the caches, 7.7 instead of 9.5 (8.3 with 1 KiB; a copy takes 7.3).
AHEAD = 4096
# Processors with 512-bit vectors from Ice Lake on keep their clock with them (those before slow down); LLVM uses 256.
WIDE = bool(get_host_cpu_features().get("avx512vbmi", False))


@intrinsic
def full_width(typingctx):
    """Lets the loops of the function that says this use the widest vectors: 3 taps in 0.09 ns instead of 0.11."""

    def generate(context, builder, signature, args):
        if WIDE:  # llvmlite's own `add` knows no attributes with a value
            set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), generate


@intrinsic
def prefetch(typingctx, address):
    """Asks for the cache line at this address. Harmless wherever it points."""

    def generate(context, builder, signature, args):
        word, place = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [place, word, word, word])
        function = builder.module.declare_intrinsic("llvm.prefetch", [place], kind)
        builder.call(function, [builder.inttoptr(args[0], place), word(0), word(2), word(1)])
        return context.get_dummy_value()

    return types.none(types.int64), generate


@called
def ask(at, n):
    """Asks for all lines of n bytes."""
    for line in range(at, at + n, LINE):
        prefetch(line)


@intrinsic
def put_past(typingctx, target, source):
    """Stores a line at `target`, a multiple of LINE, past the caches: its old contents are not read first."""

    def generate(context, builder, signature, args):
        line = ir.VectorType(ir.IntType(32), LINE // 4)
        value = builder.load(builder.inttoptr(args[1], line.as_pointer()), align=4)
        store = builder.store(value, builder.inttoptr(args[0], line.as_pointer()), align=LINE)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
        return context.get_dummy_value()

    return types.none(types.int64, types.int64), generate


@intrinsic
def settle(typingctx):
    """Orders stores past the caches before all that other threads may do next."""

    def generate(context, builder, signature, args):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.none(), generate


@called
def apart(at, other, by):
    """The first line from `at` on that lies `by` bytes behind `other` within a page.

    Loads wait for stores not long ago to the same place of another page: 3x3 s1 of 4x112x128x64, from offsets, takes
    14.2 ms so, and 5.4 with sums half a page from the gradients, one thread.
    """
    first = (at + LINE - 1) // LINE * LINE
    return first + (other + by - first) % PAGE // LINE * LINE


@called
def copy_bytes(src, dst, n):
    """n bytes; vectors where both do not overlap, else `dst` must come first."""
    read, write = pointer(src, BYTE), pointer(dst, BYTE)
    for i in range(n):
        write[i] = read[i]


@called
def write_past(src, dst, n):
    """n bytes, in whole lines past the caches; those that belong to others in part as usual."""
    head = lesser(n, -dst % LINE)
    lines = (n - head) // LINE * LINE
    copy_bytes(src, dst, head)
    for i in range(head, head + lines, LINE):
        put_past(dst + i, src + i)
    copy_bytes(src + head + lines, dst + head + lines, n - head - lines)


@called
def flow_past(src, dst, n, follows):
    """The same of results that come bit by bit: bytes that fill no line stay, in front at `src`, if more `follows`.

    How many stay. The next ones belong behind these, which is where `dst` begins then.
    """
    head = lesser(n, -dst % LINE)
    rest = (n - head) % LINE if follows else 0
    if n - head < LINE and follows:
        return n
    write_past(src, dst, n - rest)
    copy_bytes(src + n - rest, src, rest)
    return rest
