"""The CPU engines of gradients of Lp norms: from the norms, which are computed again."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from gpupool.gradients import accumulator, exponent_of
from gpupool.jobs import JobPlan
from gpupool.kernels.codecs import input_codec
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.frame import FRAME, Frame
from gpupool.kernels.cpu.powers import divide_by_norms, multiply_by_powers, powers, share_pass, share_rows
from gpupool.kernels.cpu.spread import spread
from gpupool.kernels.cpu.spread_lines import blank_pass, passes
from gpupool.kernels.norms import in_brief
from gpupool.operators import POWERS
from gpupool.request import Request
from gpupool.threads import get_num_threads

from .cpu import payload
from .cpu import run as run_pooling
from .cpu_frame import Form, Runner, launch, three_pooled
from .cpu_gradients import make_across
from .cpu_mirror import cut, mirrored
from .cpu_tiles import Tiled, brief_in_tiles, past_caches, powers_in_tiles, tile_axes

BRIEF_TAPS = 8  # of a window whose powers one pass can hold
PRODUCTS = (0.0, 1.0, 2.0, 3.0)  # exponents for which a power is none, or a product
# Bytes of norms for each thread at a time, so that caches hold them, and yet enough for threads to share: 3x3 s1,
# p = 2.5, of 4x64x112x112 on two threads 10 ms, 12 with half as many, 17 with an eighth.
CHUNK = 1 << 21
# Elements of a row up to which sums are those of windows (`cpu_mirror`), although then x and the result wait for
# another pass. 3x3 s1, p = 2, one thread: 28x28 planes 11.1 ms so and 10.9 in one pass; 14x14 10.0 and 14.0; 7x7
# windows of 28x28 12.0 and 17.9.
SHORT_ROW = 32
Shares = Callable[[np.ndarray, np.ndarray, np.ndarray], None]  # (parts, x, out)
# Powers of norms and quotients by them are held to 1/n .. n, so that their product with an element's power is exact but
# for its rounding.
MOST = {"float32": 2.0**100, "float64": 2.0**500}


def powers_engine(plan: JobPlan, form: Form, packed: np.ndarray) -> Runner:
    """Gradients of Lp norms, in parts where that is possible."""
    axes, exponent = tile_axes(plan), exponent_of(plan)
    if axes and is_brief(plan) and math.prod(a.k for a in axes) <= BRIEF_TAPS:
        return brief_in_tiles(plan, form, axes)
    if axes:
        return with_norms(plan, form, powers_in_tiles(plan, form, axes))
    if exponent in PRODUCTS:
        return parts_engine(plan, form, packed, accumulator(plan.dtypes[0], plan.out_dtype))
    if is_brief(plan):
        return parts_engine(plan, form, packed, accumulator(plan.dtypes[0], plan.out_dtype))
    # Other powers of float64 elements may leave its range where their product with the sums does not.
    if exponent < math.inf and plan.out_dtype.itemsize < 8:
        return parts_engine(plan, form, packed, np.dtype(np.float64))
    return gather_engine(plan, form, packed)


def is_brief(plan: JobPlan) -> bool:
    """Whether sums of powers are to be had, whose roots nobody needs; for p = 1 and 2 norms take less time."""
    p = float(plan.request.options[0])
    return p not in (1.0, 2.0) and in_brief(p, plan.out_dtype)


def norms_request(plan: JobPlan, dtype: np.dtype) -> Request:
    """The pooling that gives norms of arrays (outer, D, H, W, inner)."""
    axes = three_pooled(plan)
    return plan.request._replace(
        dtype=dtype.name, keepdims=True, spatial=None, axes=(1, 2, 3), window=tuple(a.k for a in axes),
        # The plan forgets an only window's stride: any will do that leaves no room for another window.
        stride=tuple(a.s if a.out > 1 else a.before + a.n + a.after + a.k * a.d for a in axes),
        dilation=tuple(a.d for a in axes), padding=tuple((a.before, a.after) for a in axes),
    )  # fmt: skip


def with_norms(plan: JobPlan, form: Form, give: Tiled) -> Runner:
    """What takes the addresses of the gradient, of norms, of x and of the result."""
    request = norms_request(plan, accumulator(plan.dtypes[0], plan.out_dtype))

    def run(arrays: list[np.ndarray], out: np.ndarray) -> None:
        norms = run_pooling(arrays[1].reshape(form.x), request)
        give(arrays[0].ctypes.data, norms.ctypes.data, arrays[1].ctypes.data, out.ctypes.data)

    return run


def gather_engine(plan: JobPlan, form: Form, packed: np.ndarray) -> Runner:
    """Element by element: any exponent, elements and norms of any size."""
    f, acc = Frame(*packed[:FRAME].tolist()), accumulator(plan.dtypes[0], plan.out_dtype)
    codecs = input_codec(plan.dtypes[0]), input_codec(plan.out_dtype)
    numbers = acc.type(0), acc.type(1), acc.type(exponent_of(plan))
    constants = (payload(plan.dtypes[0]), payload(plan.out_dtype), acc, codecs, numbers)
    code, rows, elements = jit.compiled(powers, 7, constants), f.outer * f.d * f.h, math.prod(form.x)

    def give(*addresses: int) -> None:
        launch(code, (*addresses, packed.ctypes.data), constants, rows, elements)

    return with_norms(plan, form, give)


def parts_engine(plan: JobPlan, form: Form, packed: np.ndarray, acc: np.dtype) -> Runner:
    """Gradients divided by powers of norms, added up as those of sums are, and multiplied by powers of x: all in `acc`.

    Where that is too narrow, the whole call is computed again, in float64 or element by element.
    """
    exponent, f = exponent_of(plan), Frame(*packed[:FRAME].tolist())
    g_type, g_codec = payload(plan.dtypes[0]), input_codec(plan.dtypes[0])
    x_type, x_codec = payload(plan.out_dtype), input_codec(plan.out_dtype)
    divide = None
    if exponent != 0.0:  # else the gradients themselves are added up, whatever the norms are
        divide = (brief_divider if is_brief(plan) else divider)(plan, acc)
        g_type, g_codec = acc, input_codec(acc)
    share = jit.c_function(share_pass(x_type, acc, x_codec, exponent, is_brief(plan)))
    mirror = mirrored(plan, acc) if f.w * f.inner <= SHORT_ROW else None
    if mirror:
        add_up = mirrored_shares(form, mirror, (acc.itemsize, x_type.itemsize, share))
    else:
        items = (acc.itemsize, g_type.itemsize, acc.itemsize, x_type.itemsize)
        past = f.inner > 1 and past_caches(form, x_type.itemsize)  # channels first it wins nothing
        z = make_across(f, plan, packed, items, past)
        clear = jit.c_function(blank_pass(x_type, acc.type(0), x_codec))
        lines = passes(g_type, acc, acc, g_codec, input_codec(acc))._replace(share=share, clear=clear)
        add_up = spread_shares(form, packed, np.array([*z, *lines], np.int64))

    @functools.cache
    def wider() -> Runner:
        if acc.itemsize < 8:
            return parts_engine(plan, form, packed, np.dtype(np.float64))
        return gather_engine(plan, form, packed)

    outer, windows = form.x[0], math.prod(form.y[1:])

    def run(arrays: list[np.ndarray], out: np.ndarray) -> None:
        g, x, to = arrays[0].reshape(form.y), arrays[1].reshape(form.x), out.reshape(form.x)
        chunks = cut(outer, CHUNK * get_num_threads() // (8 * windows))
        parts = np.empty((-(-outer // len(chunks)), *form.y[1:]), acc) if divide else g
        for some in chunks:
            if divide and not divide(g[some], x[some], parts):
                wider()(arrays, out)
                return
            add_up(parts[: len(x[some])] if divide else g[some], x[some], to[some])

    return run


def spread_shares(form: Form, packed: np.ndarray, numbers: np.ndarray) -> Shares:
    """What adds up parts as gradients of sums are, and multiplies the sums row by row."""
    code, rows = jit.compiled(spread, 7, ()), form.x[1] * form.x[2]

    def add_up(parts: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
        addresses = (parts.ctypes.data, x.ctypes.data, out.ctypes.data, packed.ctypes.data, numbers.ctypes.data)
        launch(code, addresses, (), len(x) * rows, x.size)

    return add_up


def mirrored_shares(form: Form, request: Request, known: tuple[int, int, int]) -> Shares:
    """The same where the sums are those of windows: `known` are the items' sizes and the pass."""
    code, rows = jit.compiled(share_rows, 6, ()), form.x[1] * form.x[2]
    numbers = np.array([form.x[3] * form.x[4], *known], np.int64)

    def add_up(parts: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
        sums = np.empty(x.shape, request.dtype)
        run_pooling(parts, request, sums)
        addresses = (sums.ctypes.data, x.ctypes.data, out.ctypes.data, numbers.ctypes.data)
        launch(code, addresses, (), len(x) * rows, x.size)

    return add_up


def divider(plan: JobPlan, acc: np.dtype) -> Callable[..., bool]:
    """What divides each window's gradient by its norm's power; it gives False where one is beyond MOST."""
    most, codec, request = acc.type(MOST[acc.name]), input_codec(plan.dtypes[0]), norms_request(plan, acc)
    constants = (payload(plan.dtypes[0]), acc, codec, (acc.type(0), acc.type(exponent_of(plan)), 1 / most, most))
    code = jit.compiled(divide_by_norms, 5, constants)

    def divide(grad: np.ndarray, x: np.ndarray, parts: np.ndarray) -> bool:
        run_pooling(x, request, parts[: len(x)])
        far = np.zeros(1, np.uint8)
        launch(code, (grad.ctypes.data, parts.ctypes.data, far.ctypes.data), constants, grad.size, grad.size)
        return not far[0]

    return divide


def brief_divider(plan: JobPlan, acc: np.dtype) -> Callable[..., bool]:
    """The same from sums of powers, without their roots."""
    most, p, double = MOST[acc.name], float(plan.request.options[0]), np.dtype(np.float64)
    request = norms_request(plan, double)._replace(op=POWERS)
    constants = (payload(plan.dtypes[0]), acc, input_codec(plan.dtypes[0]), (1.0 / p - 1.0, 1.0 / most, most))
    code = jit.compiled(multiply_by_powers, 6, constants)

    def divide(grad: np.ndarray, x: np.ndarray, parts: np.ndarray) -> bool:
        sums, far = np.empty(grad.shape, double), np.zeros(1, np.uint8)
        run_pooling(x, request, sums)
        addresses = grad.ctypes.data, sums.ctypes.data, parts.ctypes.data, far.ctypes.data
        launch(code, addresses, constants, grad.size, grad.size)
        return not far[0]

    return divide


ENGINES: dict[str, Callable[[JobPlan, Form, np.ndarray], Runner]] = {"powers": powers_engine}
