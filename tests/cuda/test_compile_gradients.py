"""The kernels with several operands, compiled and linked without a GPU for every architecture."""

import dataclasses
import math

import numpy as np
import pytest

import gpupool.kernels.cuda.compile as compiler
from benchmarks.job_kernels import CHANNELS, CHANNELS_SMALL, HUGE, JOBS, LARGE, LAST, SHARED, JobCase, launched
from benchmarks.machine_code import INSTRUCTIONS_PER_BYTE, job_row
from benchmarks.sass import parameters, resources
from gpupool.backends.cuda_jobs import numbers
from gpupool.fractional import WHERE
from gpupool.kernels.codecs import BFloat, Half
from gpupool.kernels.extremes import ArgMax, ArgMaxKnown, ArgMin
from gpupool.kernels.window import Adaptive

pytestmark = pytest.mark.cpu_only
CAPABILITIES = ((7, 5), (8, 0), (9, 0), (10, 0))
EACH = pytest.mark.parametrize(
    "case",
    JOBS,
    ids=lambda c: "-".join([c.kind, c.dtype, str(c.shape), str(c.window), *(f"{k}={v}" for k, v in c.options)]),
)


@EACH
def test_compiles_for_every_gpu(case):
    """Machine code for each architecture, within a thread's registers, nothing in local memory."""
    found = launched(case)
    assert found
    for one in found:
        kernel = one.kernel
        assert kernel.offset_bits == (64 if case.shape == HUGE else 32)
        for cc in CAPABILITIES:
            registers, local_bytes = resources(compiler.cubin(kernel, cc), kernel.name)
            assert 0 < registers * kernel.threads <= 65536, f"{kernel.name}, sm_{cc}: {registers} registers"
            assert local_bytes == 0, f"{kernel.name}, sm_{cc}: {local_bytes} bytes of local memory"


@EACH
def test_the_kernel_takes_what_it_is_given(case):
    """As many arguments, each as wide: the driver copies what the kernel declares from where each one lies."""
    for one in launched(case):
        given = [64] * len(one.steps) + [bits for _, bits in numbers(one, 0)]
        assert parameters(compiler.cubin(one.kernel, (9, 0)), one.kernel.name) == given, one.kernel.name


def test_other_code_is_another_key():
    """Reducers, codecs and rules are NamedTuples: empty ones of different classes are equal, but no kernels' keys."""
    kernel = launched(JobCase("apart_backward", window=2))[-1].kernel
    changed = [
        {"red": ArgMax()}, {"red": ArgMaxKnown()}, {"red": ArgMin()}, {"x_codec": Half()}, {"x_codec": BFloat()},
        {"rule": Adaptive()}, {"constants": (*kernel.constants, ("SAMPLE_CODEC", Half()))},
        {"constants": (*kernel.constants, ("SAMPLE_CODEC", BFloat()))},
    ]  # fmt: skip
    kernels = [dataclasses.replace(kernel, **change) for change in changed]
    assert len({one.key for one in kernels}) == len(kernels)


# (call, instructions for each element at sm_90, bits of the widest load): all have time for that while memory moves.
BUDGETS = (
    (JobCase("avg_backward"), 33, 64),
    (JobCase("avg_backward", small=LARGE, options=(("stride", 1),)), 48, 128),
    (JobCase("max_backward", options=(("taken", "uint8"),)), 17, 64),
    (JobCase("max_backward", "float16", options=(("taken", "uint8"),)), 16, 64),
    (JobCase("max_backward", small=LARGE, options=(("stride", 1), ("taken", "uint8"))), 47, 128),
    (JobCase("sum_backward"), 12, 128),
    (JobCase("avg_backward", "float32", CHANNELS, CHANNELS_SMALL, options=LAST), 34, 128),
    (JobCase("max_backward", "float32", CHANNELS, CHANNELS_SMALL, options=(*LAST, ("taken", "uint8"))), 18, 128),
    (JobCase("adaptive_backward", small=SHARED, options=(("op", "max"), ("own", True))), 26, 32),
)


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda b: launched(b[0])[-1].kernel.name)
def test_budget(budget):
    """Instructions of strips for each element, whole vectors stored, no loop whose loads wait for the round before."""
    case, instructions, load_bits = budget
    one = launched(case)[-1]
    line, m = job_row(case, one, 90, None)
    moved = np.dtype(case.dtype).itemsize * (1 + math.prod(case.small) / math.prod(case.shape))
    assert line["executed_per_output"] <= instructions <= INSTRUCTIONS_PER_BYTE * moved, line
    assert line["widest_load_bits"] >= load_bits
    assert line["widest_store_bits"] == 128
    assert m.loops == []


def test_every_kernel_is_compiled():
    """The cases reach each engine of jobs."""
    names = {one.kernel.engine.__name__ for case in JOBS for one in launched(case)}
    assert names == {
        "strip_sums", "strip_chosen", "strip_powers", "strip_known", "strip_shared", "strip_picked",
        "gather_sums", "gather_chosen", "gather_powers", "gather_known", "gather_taken", "divide_known", "check_taken",
        "check_indices", "claim", "unpool", "unpool_back",
        "apart_sums", "apart_chosen", "apart_found", "apart_powers", "last_sums", "last_chosen", "last_found",
        "last_powers", "whole_sums", "whole_chosen", "whole_where", "whole_joined", "fractional", WHERE,
    }  # fmt: skip
