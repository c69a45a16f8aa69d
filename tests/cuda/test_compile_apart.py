"""Budgets on the machine code of gradients where windows do not overlap: instructions, vectors, registers."""

import itertools
import math

import numpy as np
import pytest

import gpupool as gp
import gpupool.kernels.cuda.compile as compiler
from benchmarks.compile_ahead import kernels_of
from benchmarks.host_cost import FakeArray
from benchmarks.job_kernels import NCDHW, NHWC, JobCase, launched
from benchmarks.machine_code import INSTRUCTIONS_PER_BYTE
from benchmarks.sass import machine

pytestmark = pytest.mark.cpu_only
LAST, WHOLE = ("layout", "channels_last"), ("whole", True)
AVG, NORM = ("op", "avg"), (("op", "lp"), ("p", 2.0))

# (call, instructions of a thread): the last of its kernels, whose work the table limits.
BUDGETS = [
    (JobCase("apart_backward", window=2, options=(AVG,)), 80),
    (JobCase("apart_backward", "float16", window=2, options=(AVG,)), 90),
    (JobCase("apart_backward", window=7, options=(AVG,)), 290),
    (JobCase("apart_backward", shape=NCDHW, window=2, options=(AVG, ("spatial", 3))), 110),
    (JobCase("apart_backward", shape=NHWC, window=2, options=(AVG, LAST)), 100),
    (JobCase("apart_backward", window=2), 130),
    (JobCase("apart_backward", "float16", window=2), 210),
    (JobCase("apart_backward", shape=NCDHW, window=2, options=(("spatial", 3),)), 210),
    (JobCase("apart_backward", shape=NHWC, window=2, options=(LAST,)), 210),
    (JobCase("apart_backward", window=2, options=(("taken", "uint8"),)), 130),
    (JobCase("apart_backward", window=2, options=(("op", "lp"), ("p", 1.0))), 170),
    (JobCase("apart_backward", window=2, options=NORM), 450),
    (JobCase("apart_backward", options=(WHOLE, AVG)), 270),
    (JobCase("apart_backward", options=(WHOLE,)), 190),
    (JobCase("apart_backward", shape=NHWC, options=(WHOLE, LAST)), 220),
]


def moved(case, one):
    """Bytes that a thread moves: its part of all arrays of the kernel, each once."""
    plane = math.prod(a.n for a in (one.geometry.d, one.geometry.h, one.geometry.w))
    results = math.prod(a.out for a in (one.geometry.d, one.geometry.h, one.geometry.w))
    planes = math.prod(b.n for b in (one.geometry.outer, one.geometry.outer2, one.geometry.inner))
    items = [np.dtype(payload).itemsize for payload, _ in one.kernel.memories]
    reads_x = one.kernel.red is not None
    sizes = [planes * (plane if i == len(items) - 1 or (reads_x and i == 1) else results) for i in range(len(items))]
    return sum(item * size for item, size in zip(items, sizes, strict=True)) / one.units


@pytest.mark.parametrize(
    ("case", "limit"), BUDGETS, ids=lambda b: b if isinstance(b, int) else launched(b)[-1].kernel.name
)
def test_budget(case, limit):
    """A thread has time for its instructions while its bytes move, in vectors of 16 bytes, without a loop."""
    one = launched(case)[-1]
    m = machine(compiler.cubin(one.kernel, (9, 0)), one.kernel.name)
    assert m.instructions <= limit <= INSTRUCTIONS_PER_BYTE * moved(case, one), (m.instructions, moved(case, one))
    assert m.widest_store_bits == 128
    assert m.registers <= 64, "fewer than 1024 threads to a multiprocessor"
    assert m.frame_bytes == 0
    assert m.loops == []
    if one.kernel.red is not None:
        assert m.widest_load_bits == 128


def test_what_a_call_loads_is_found_ahead():
    """The kernels that have to be compiled, every time somebody asks: vectors are as wide as addresses allow."""
    for start, vector in ((0, 4), (8, 2), (0, 4)):
        addresses = itertools.count((1 << 46) + start, 1 << 46)
        grad, x, out = (FakeArray((2, n, n), "float32", next(addresses)) for n in (8, 24, 24))
        found = kernels_of(iter([lambda g=grad, x=x, out=out: gp.min_pool2d_backward(g, x, 3, out=out)]))
        assert [k.name for k in found] == [f"gpupool_apart_found_k3x3s3x3_v{vector}_arg_min_f32"]
