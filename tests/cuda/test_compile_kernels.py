"""Every kernel that gpupool ships, compiled and linked without a GPU, with budgets on the machine code."""

import math
import re
import time

import pytest

import gpupool as gp
import gpupool.kernels.cuda.compile as compiler
from benchmarks.machine_code import BUDGETS, CASES, Case, executed, launch_of, launches_of, row
from benchmarks.sass import parameters, resources
from gpupool.backends.cuda_launch import numbers

pytestmark = pytest.mark.cpu_only
CAPABILITIES = ((7, 5), (8, 0), (9, 0), (10, 0))

KERNELS = {launch.kernel.name: (case, launch) for case in reversed(CASES) for launch in launches_of(case)}
EACH = pytest.mark.parametrize("name", KERNELS)

# Reducers and codecs that ask for float64 or 64-bit division, by their part of a kernel's name.
WANTS_FLOAT64 = (
    "mean_wide", "mean_int64", "mean_exact", "mean_known", "known_divisor", "norm1_wide", "norm2_wide", "norm_any",
    "norm3", "norm4", "norm_scaled", "median_narrowed", "median_wide", "f64",
)  # fmt: skip
# Kernels that a multiprocessor may hold once only: they compute more than they load, or are of 64-bit indices.
WANTS_REGISTERS = (
    "norm_any", "norm_scaled", "norm2_wide", "norm3", "median_exact", "mean_exact", "mean_known_f16",
    "known_divisor_f16", "f32_wide",
)  # fmt: skip
FLOOR = 128  # registers of a thread with which two blocks of 256 threads fit
WANTS_DIVISION = ("mean_exact", "mean_rounded", "median_exact", "median_rounded", "_wide")


@EACH
def test_compiles_for_every_gpu(name):
    """The linker makes machine code for each architecture: within a thread's registers, nothing in local memory."""
    _, launch = KERNELS[name]
    for cc in CAPABILITIES:
        registers, local_bytes = resources(compiler.cubin(launch.kernel, cc), name)
        assert 0 < registers * launch.block <= 65536, f"sm_{cc}: {registers} registers, {launch.block} threads"
        assert local_bytes == 0, f"sm_{cc}: {local_bytes} bytes of local memory"
        if cc == (9, 0) and not any(word in name for word in WANTS_REGISTERS):
            assert registers <= FLOOR, f"{registers} registers leave one block to a multiprocessor"


@EACH
def test_the_kernel_takes_what_it_is_given(name):
    """As many arguments, each as wide: the driver copies what the kernel declares from where each one lies."""
    _, launch = KERNELS[name]
    given = [64] * len(launch.kernel.pointers) + [bits for _, bits in numbers(launch)]
    assert parameters(compiler.cubin(launch.kernel, (9, 0)), name) == given


@EACH
def test_no_instruction_that_nobody_asked_for(name):
    """No float64 and no 64-bit division where the operator does not need them: in PTX, which takes no disassembler."""
    _, launch = KERNELS[name]
    found = set(re.findall(r"^\s*(?:@!?%p\d+\s+)?([a-z][\w.]*)", compiler.ptx(launch.kernel).decode(), re.MULTILINE))
    assert {"ret", "ld.param.u64"} <= found
    rounds = type(launch.kernel.y_codec).__name__.startswith("Saturated")  # to integers, in float64
    if not rounds and not any(word in name for word in WANTS_FLOAT64):
        assert not [opcode for opcode in found if ".f64" in opcode]
    if not any(word in name for word in WANTS_DIVISION):
        assert not [opcode for opcode in found if re.match(r"(div|rem)\.[su]64", opcode)]


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda b: launch_of(b.case).kernel.name)
def test_budget(budget):
    """Instructions per output and the width of loads at sm_90."""
    launch = launch_of(budget.case)
    line, m = row(budget.case, launch, 90, None)
    assert executed(launch, m) / line["outputs_per_thread"] <= budget.instructions <= line["time_for"], line
    assert line["widest_load_bits"] >= budget.load_bits
    assert line["loops"] == 0, "a loop that was not unrolled makes loads wait for each other"


def test_every_engine_is_compiled():
    """The table reaches each kernel function of the package."""
    engines = {launch.kernel.engine.__name__ for _, launch in KERNELS.values()}
    assert engines == {
        "point", "point_indices", "point_positions", "point_select", "tile", "tile_indices", "tile_positions",
        "last", "last_indices", "last_positions", "pixels", "shared", "shared_indices", "shared_positions", "large",
        "planes", "plane", "plane_parts", "plane_joined", "plane_last", "plane_last_parts",
    }  # fmt: skip


def _heavier(v):
    return v * 2.0


LAST = "channels_last"
LARGE = [
    Case("avg", 41, 1, 20, layout=LAST, shape=(32, 112, 112, 64)),
    Case("avg", 51, 1, 25, layout=LAST, shape=(32, 14, 14, 64)),
    Case("max", 31, 1, 30, layout=LAST, shape=(1, 224, 224, 64), dilation=2),
    Case("max", 7, 1, 12, "float16", LAST, (32, 14, 14, 256), dilation=4),
    Case("max", 101, 1, 50, "uint8", LAST, (8, 128, 128, 64)),
    Case("avg", 61, 1, 30, layout=LAST, shape=(8, 128, 128, 64)),
    Case("avg", (31, 31, 31), 1, 15, "uint8", LAST, (32, 32, 32, 32, 64)),
]  # fmt: skip


@pytest.mark.parametrize("case", LARGE, ids=lambda c: f"{c.op}-{c.window}-{c.dtype}-{c.shape}")
def test_large_windows_of_many_channels_have_a_tile(case):
    """Of fewer channels, where those of a whole sector do not fit into shared memory."""
    launch = launch_of(case)
    assert launch.kernel.engine.__name__ == "large"
    registers, local_bytes = resources(compiler.cubin(launch.kernel, (9, 0)), launch.kernel.name)
    assert 0 < registers * launch.block <= 65536
    assert local_bytes == 0


@pytest.mark.parametrize("op", ["max", "avg"])
@pytest.mark.parametrize(("layout", "channels"), [("channels_first", ()), (LAST, (3,))])
def test_images_of_many_sizes_share_kernels(op, layout, channels):
    """Large windows of an image of about the same size are no other kernel, which takes a second or two to compile."""
    sizes = [(1080 + 13 * i, 1920 - 12 * i) for i in range(8)]
    found = {launch_of(Case(op, 31, 1, 15, layout=layout, shape=(*size, *channels))).kernel.key for size in sizes}
    assert len(found) <= 3


@pytest.mark.parametrize("window", [(50001, 3), (2001, 2001)])
def test_a_tile_is_found_at_once(window):
    """However many rows a window has; counting through them took seconds."""
    start = time.perf_counter()
    launch_of(Case("max", window, 1, shape=(1, 60000, 512) if window[1] == 3 else (4000, 4000)))
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize("window", [(2, 2), (3, 5), (112, 112)], ids=["tile", "any", "plane"])
def test_users_reducers_compile(window):
    """Two numbers with a neutral element run on every engine; a helper of the user's module is compiled with them."""
    reducer = gp.Reducer(
        "weighted_mean",
        lambda v: (v * math.exp(v), _heavier(math.exp(v))),
        lambda a, b: (a[0] + b[0], a[1] + b[1]),
        lambda acc, count: 2.0 * acc[0] / acc[1] + count,
        neutral=(0.0, 0.0),
    )
    launch = launch_of(Case(reducer, window, 2, dilation=2 if window == (3, 5) else 1))
    assert "user_weighted_mean" in launch.kernel.name
    registers, local_bytes = resources(compiler.cubin(launch.kernel, (9, 0)), launch.kernel.name)
    assert 0 < registers * launch.block <= 65536
    assert local_bytes == 0


def test_cubins_are_kept_on_disk(tmp_path, monkeypatch):
    """The second process compiles nothing; a folder that cannot be written to is no error."""
    _, launch = next(iter(KERNELS.values()))
    monkeypatch.setenv("GPUPOOL_CACHE_DIR", str(tmp_path / "cache"))
    first = compiler.cubin(launch.kernel, (9, 0))
    monkeypatch.setattr(compiler, "compile_ptx", None)
    monkeypatch.setattr(compiler, "link", None)
    assert compiler.cubin(launch.kernel, (9, 0)) == first
    monkeypatch.undo()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GPUPOOL_CACHE_DIR", str(tmp_path / "file"))
    again = compiler.cubin(launch.kernel, (9, 0))  # not equal bit for bit: Numba numbers its symbols
    assert resources(again, launch.kernel.name) == resources(first, launch.kernel.name)
    assert (tmp_path / "file").read_text() == ""
