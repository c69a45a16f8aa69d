"""Threads that share the units of one kernel: they wait, take pieces and tell that they are done without Python.

A worker that has nothing to do looks for work without a pause for a while, then sleeps on one of Python's own locks;
both take place without the GIL, so that work begins and ends as soon as the processors allow.

One table, in memory that is never freed, serves the process: a head and one slot per worker. A slot's state says who
owns the worker: nobody (FREE, ASLEEP), a job that waits for it (the job's address), or a job that it works at (BUSY).
Who changes the state from one to another by compare-and-swap owns the worker from then on.
"""

from __future__ import annotations

import platform

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import called, invoke, kernel, pointer

INT64 = np.dtype(np.int64)
LINE = 8  # int64 in a cache line

# The table's head: addresses of Python's functions of locks, a lock that is never free, and for how many looks at
# memory a thread goes on before it sleeps.
ACQUIRE, ACQUIRE_TIMED, RELEASE, NEVER, LOOKS = 0, 1, 2, 3, 4
WHERE, GET_MASK, SET_MASK, HEAD = 5, 6, 7, LINE  # the system's functions of processors; 0 where it has none
# A slot: its state, the lock that its worker sleeps on, the worker's number in the system, whether it has been sent
# away, and the processors that it may run on then and otherwise.
STATE, LOCK, THREAD, SENT, MASK, OWN_MASK, SLOT = 0, 1, 2, 3, LINE, 3 * LINE, 5 * LINE
MASK_BYTES = 128  # 1024 processors
FREE, ASLEEP, BUSY, LEAVE = 0, 1, 2, 3  # states; any other is the address of a job

# A job: its function and arguments (start and stop of a piece belong at FIRST + place), and how far it has come.
ENTRY, PLACE, TOTAL, PIECES, FIRST = 0, 1, 2, 3, 4
NEXT, DONE, FAILED = 2 * LINE, 3 * LINE, 3 * LINE + 1  # what threads write has cache lines of its own
JOB = 4 * LINE

# Waking a thread costs its waker 16 us and takes 50 us, so a thread looks for work for so long before it sleeps. A look
# takes 12 ns on one processor and 60 on another: `idle` is there to be timed.
PATIENCE = 100e-6  # seconds
NAP = 50  # microseconds between two looks of a caller who has lost patience with another thread's last piece

# LLVM's words for "this thread only waits", and their arguments
PAUSES = {"x86": ("llvm.x86.sse2.pause", ()), "arm": ("llvm.aarch64.hint", (1,))}  # 1 is yield
PAUSE = PAUSES.get({"x86_64": "x86", "AMD64": "x86", "arm64": "arm", "aarch64": "arm"}.get(platform.machine(), ""))


@intrinsic
def pause(typingctx):
    """Tells the processor that this thread only waits."""

    def generate(context, builder, signature, args):
        if PAUSE is not None:
            values = [ir.IntType(32)(v) for v in PAUSE[1]]
            kind = ir.FunctionType(ir.VoidType(), [v.type for v in values])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, PAUSE[0]), values)
        return context.get_dummy_value()

    return types.none(), generate


def _place(builder, address):
    return builder.inttoptr(address, ir.IntType(64).as_pointer())


@intrinsic
def look(typingctx, address):
    """The int64 at an address that other threads write."""

    def generate(context, builder, signature, args):
        return builder.load_atomic(_place(builder, args[0]), "acquire", 8)

    return types.int64(types.int64), generate


@intrinsic
def publish(typingctx, address, value):
    """Writes an int64 that other threads read, after all that was written before."""

    def generate(context, builder, signature, args):
        builder.store_atomic(args[1], _place(builder, args[0]), "release", 8)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64), generate


@intrinsic
def count_up(typingctx, address):
    """Adds one to the int64 at an address; what it was before."""

    def generate(context, builder, signature, args):
        return builder.atomic_rmw("add", _place(builder, args[0]), ir.IntType(64)(1), "acq_rel")

    return types.int64(types.int64), generate


@intrinsic
def swap_if(typingctx, address, old, new):
    """Whether the int64 at an address was `old`; it is `new` then."""

    def generate(context, builder, signature, args):
        pair = builder.cmpxchg(_place(builder, args[0]), args[1], args[2], "seq_cst", "seq_cst")
        return builder.extract_value(pair, 1)

    return types.boolean(types.int64, types.int64, types.int64), generate


@intrinsic
def succeeds(typingctx, address, arguments):
    """Calls a compiled kernel of int64 by Numba's own convention; whether it raised nothing.

    Arguments that it does not have are passed in vain: whoever calls takes them away again.
    """

    def generate(context, builder, signature, args):
        word, byte = ir.IntType(64), ir.IntType(8).as_pointer()
        values = [builder.extract_value(args[1], i) for i in range(len(arguments))]
        result, error = builder.alloca(word), builder.alloca(byte)
        kind = ir.FunctionType(ir.IntType(32), [word.as_pointer(), byte.as_pointer()] + [word] * len(values))
        code = builder.call(builder.inttoptr(args[0], kind.as_pointer()), [result, error, *values])
        fine, fine_none = (builder.icmp_signed("==", code, code.type(c)) for c in (0, -2))
        return builder.or_(fine, fine_none)

    return types.boolean(types.int64, arguments), generate


@kernel
def idle(address, looks):
    """So many looks at an address."""
    for _ in range(looks):
        pause()
        if look(address) == LEAVE:
            return


@called
def take_pieces(job):
    """Pieces of a job until none is left or one has failed."""
    p = pointer(job, INT64)
    at, total, pieces = p[PLACE], p[TOTAL], p[PIECES]
    a = p[FIRST], p[FIRST + 1], p[FIRST + 2], p[FIRST + 3], p[FIRST + 4], p[FIRST + 5], p[FIRST + 6], p[FIRST + 7]
    while look(job + 8 * FAILED) == 0:
        i = count_up(job + 8 * NEXT)
        if i >= pieces:
            break
        b, c = i * total // pieces, (i + 1) * total // pieces
        ok = succeeds(p[ENTRY], (
            a[0],
            b if at == 1 else a[1],
            b if at == 2 else c if at == 1 else a[2],
            b if at == 3 else c if at == 2 else a[3],
            b if at == 4 else c if at == 3 else a[4],
            b if at == 5 else c if at == 4 else a[5],
            b if at == 6 else c if at == 5 else a[6],
            c if at == 6 else a[7],
        ))  # fmt: skip
        if not ok:
            publish(job + 8 * FAILED, 1)


@called
def fall_asleep(table, slot):
    """Sleep until somebody claims this worker, if nobody has just now."""
    calls, s = pointer(table, INT64), pointer(slot, INT64)
    if swap_if(slot, FREE, ASLEEP):
        invoke(calls[ACQUIRE], (s[LOCK], 1))
        if s[SENT] != 0:
            s[SENT] = 0
            invoke(calls[SET_MASK], (0, MASK_BYTES, slot + 8 * OWN_MASK))


@called
def send_away(table, slot):
    """See that a sleeping worker wakes on another processor than this one, where it would wait for this thread.

    Linux does not take a processor for idle that a hypervisor has halted, and wakes threads beside the caller then:
    three calls in four of 1.2 ms took 2.4 ms so, beside a library that moves threads about; with this, one in thirty.
    """
    calls, s = pointer(table, INT64), pointer(slot, INT64)
    if calls[WHERE] == 0:
        return
    here = invoke(calls[WHERE], ()) & 0xFFFF
    if here >= 8 * MASK_BYTES:
        return
    if (invoke(calls[GET_MASK], (s[THREAD], MASK_BYTES, slot + 8 * OWN_MASK)) & 0xFFFFFFFF) != 0:
        return
    left = 0
    for i in range(MASK_BYTES // 8):
        others = s[OWN_MASK + i]
        if i == here // 64:
            others &= ~(np.int64(1) << (here % 64))
        s[MASK + i] = others
        left |= others
    if left != 0:
        s[SENT] = 1
        invoke(calls[SET_MASK], (s[THREAD], MASK_BYTES, slot + 8 * MASK))


@kernel
def serve(table, index):
    """A worker's life: jobs that its slot names, until it is told to leave."""
    slot = table + 8 * (HEAD + index * SLOT)
    looks, most = 0, pointer(table, INT64)[LOOKS]
    while True:
        job = look(slot)
        if job == FREE:
            pause()
            looks += 1
            if looks > most:
                fall_asleep(table, slot)
        elif job == LEAVE:
            return
        elif job != ASLEEP and swap_if(slot, job, BUSY):
            take_pieces(job)
            publish(slot, FREE)  # before the job is done, or its caller could find no worker free next time
            count_up(job + 8 * DONE)
            looks = 0


@called
def claim(table, slot, new):
    """Whether a worker had nothing to do; it has `new` to do then, and is awake."""
    if swap_if(slot, FREE, new):
        return True
    if not swap_if(slot, ASLEEP, new):
        return False
    send_away(table, slot)
    invoke(pointer(table, INT64)[RELEASE], (pointer(slot, INT64)[LOCK],))
    return True


@kernel
def share(table, workers, wanted, job):
    """Do a job with at most so many of the workers; whether no piece failed."""
    first, last = table + 8 * HEAD, table + 8 * (HEAD + workers * SLOT)
    claimed = 0
    for slot in range(first, last, 8 * SLOT):
        if claimed == wanted:
            break
        claimed += claim(table, slot, job)
    take_pieces(job)
    for slot in range(first, last, 8 * SLOT):  # a worker that has not begun is not waited for
        claimed -= swap_if(slot, job, FREE)
    looks, calls = 0, pointer(table, INT64)
    while look(job + 8 * DONE) < claimed:
        pause()
        looks += 1
        if looks > calls[LOOKS]:
            invoke(calls[ACQUIRE_TIMED], (calls[NEVER], NAP, 0))
    return look(job + 8 * FAILED) == 0


@kernel
def dismiss(table, workers):
    """Tell the workers that have nothing to do to leave."""
    for index in range(workers):
        claim(table, table + 8 * (HEAD + index * SLOT), LEAVE)
