"""The kernels with several operands, compiled and linked without a GPU for every architecture."""

import pytest

import gpupool.kernels.cuda.compile as compiler
from benchmarks.job_kernels import HUGE, JOBS, launched
from benchmarks.sass import parameters, resources
from gpupool.backends.cuda_jobs import numbers
from gpupool.fractional import WHERE

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
