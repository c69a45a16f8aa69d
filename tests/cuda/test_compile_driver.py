"""The whole path down to the driver's C functions, through NVIDIA's own Python packages: a stand-in library answers.

What the other tests replace in Python (cuda.bindings, cuda.core) is real here, so a call that those do not have, or
that takes other arguments, fails without a GPU.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.cpu_only

CHILD = """
import sys, threading
import numpy as np
from benchmarks.host_cost import FakeArray, FakeCupy
sys.modules["cupy"] = FakeCupy
import gpupool as gp
from cuda.bindings import driver

log = open(sys.argv[1], "a", buffering=1)
def step(name, call):
    log.write(f"== {name}\\n")
    return call()
def x(*shape, dtype=np.float32, at=1 << 20):
    return FakeArray(shape, dtype, at)

step("no context", lambda: gp.max_pool2d(x(2, 3, 8, 8), 2))
step("current", lambda: driver.cuCtxPushCurrent(0xC000))
step("again", lambda: gp.max_pool2d(x(2, 3, 8, 8), 2))
FakeCupy.cuda.stream.ptr = 77
step("out", lambda: gp.max_pool2d(x(2, 3, 8, 8), 2, out=x(2, 3, 4, 4, at=1 << 21)))
thread = threading.Thread(target=lambda: step("thread", lambda: gp.max_pool2d(x(2, 3, 8, 8), 2)))
thread.start(), thread.join()
step("planes", lambda: gp.global_max_pool2d(x(8, 4096, 4096)))
step("unpool", lambda: gp.max_unpool2d(x(2, 3, 4, 4), x(2, 3, 4, 4, dtype=np.int64), 2))

from gpupool.backends.cuda_dlpack import Owned
class Lent:
    def __init__(self):
        self.memory = Owned((2, 3, 8, 8), np.dtype(np.float32), 0)
    def __dlpack_device__(self):
        return 2, 0
    def __dlpack__(self, stream=None):
        return self.memory.__dlpack__(stream=stream)
def from_dlpack(array):
    return array.__dlpack__(stream=55)
lent = step("lending", Lent)
for name in ("lent", "lent again"):
    step(name, lambda: gp.max_pool2d(lent, 2))
step("end", lambda: None)
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What the library was asked in each step of CHILD."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("the stand-in for libcuda.so needs Linux and a C compiler")
    folder = tmp_path_factory.mktemp("driver")
    library, log, child = folder / "libcuda.so.1", folder / "log", folder / "child.py"
    build = [compiler, "-shared", "-fPIC", "-Wall", "-Werror", f"-Wl,-soname,{library.name}", "-o", str(library)]
    subprocess.run([*build, str(HERE / "driver_stub.c")], check=True)
    child.write_text(CHILD)
    log.touch()
    done = run_child(child, log, library.parent)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    steps, current = {}, []
    for line in log.read_text().splitlines():
        if line.startswith("== "):
            current = steps.setdefault(line[3:], [])
        else:
            current.append(line)
    return steps


def run_child(child, log, folder):
    """CHILD in a process of its own, whose driver is the stand-in."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder), "STUB_LOG": str(log)}
    environment["PYTHONPATH"] = str(HERE.parent.parent)
    return subprocess.run(
        [sys.executable, str(child), str(log)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


LAUNCH = "launch 3 grid 1 1 1 block 64 1 1 shared 0 stream {} extra 0 x 100000 y {} outer 1"


def test_a_thread_without_a_context_gets_the_devices_own(said):
    """The primary context, which CuPy and PyTorch use, for the time of the call: to load, and to launch."""
    name = "kernel gpupool_tile_k2x2s2x2_t1x2_v4_max_f32"
    enter, leave = ["retain 0", "push"], ["pop", "release 0"]
    start = LAUNCH.format(0, 1000000)
    machine = "load ELF 1 for sm_90, 0 and 0 options"
    assert said["no context"] == [*enter, machine, name, *leave, *enter, start, *leave]
    assert said["thread"] == [*enter, LAUNCH.format(77, 1000000), *leave]


def test_a_known_call_is_one_launch_on_the_callers_stream(said):
    assert said["again"] == [LAUNCH.format(0, 1000000)]
    assert said["out"] == [LAUNCH.format(77, 200000)]


def test_memory_between_two_launches_comes_from_a_pool_of_ours(said):
    """Taken and given back on the caller's stream; the pool keeps what it has."""
    found = [line for line in said["planes"] if not line.startswith(("load", "kernel"))]
    assert found[:2] == ["pool of type 1 at 1 0", "pool attribute 4 is 4194304"]
    assert found[2].startswith("allocate 32768 ")
    assert found[2].endswith("from pool 9 stream 77")
    assert [line.split()[0] for line in found[3:]] == ["launch", "launch", "free"]
    assert found[5] == "free 800000 stream 77"


def test_only_foreign_indices_are_waited_for(said):
    """The flags are cleared, filled, read; then the kernels that move elements run."""
    words = [line.split()[0] for line in said["unpool"] if not line.startswith(("load", "kernel"))]
    assert words == ["set", "launch", "read", "synchronize", "set", "launch", "launch"]


def test_lent_memory_is_kept_until_the_kernel_is_done(said):
    """An event behind the kernel says when, as a later call sees it. The library's own stream waits for another."""
    first = [line for line in said["lent"] if not line.startswith(("load", "kernel"))]
    kept, handed = ["event 2", "record 5 stream 0"], ["stream 55 waits for 5 (0)", "destroy 5"]
    launch = LAUNCH.format(0, 700000).replace("x 100000", "x 700000")
    assert first == ["allocate 384 stream 0", launch, *kept, "event 2", "record 5 stream 0", *handed]
    assert said["lent again"] == ["allocate 384 stream 0", launch, "destroy 5", *kept, "event 2", kept[1], *handed]
    assert said["end"] == ["wait for 5", "destroy 5"]


def test_nothing_else_was_asked(said):
    """No function that the stand-in lacks."""
    assert not [line for lines in said.values() for line in lines if line == "absent"]
