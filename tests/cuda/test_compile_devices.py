"""Several GPUs, and graphs: what is asked of the driver, by a driver that only answers."""

from unittest.mock import patch

import pytest
from test_compile_launch import Launches, fake

import gpupool as gp
from benchmarks.host_cost import FakeCupy, FakeDriver, no_gpu_needed
from gpupool.backends import cuda_arrays, cuda_launch

pytestmark = pytest.mark.cpu_only


class TwoGpus(FakeDriver):
    """A driver with two GPUs, the first one current; `asked` has its context calls, `stack` the current contexts."""

    asked: list
    stack: list

    @classmethod
    def cuDeviceGet(cls, device):
        return 0, device

    @classmethod
    def cuDevicePrimaryCtxRetain(cls, device):
        cls.asked.append(("retain", device))
        return 0, device

    @classmethod
    def cuDevicePrimaryCtxRelease(cls, device):
        cls.asked.append(("release", device))
        return (0,)

    @classmethod
    def cuInit(cls, _):
        return (0,)

    @classmethod
    def cuCtxPushCurrent(cls, context):
        cls.stack.append(context)
        return (0,)

    @classmethod
    def cuCtxPopCurrent(cls):
        return 0, cls.stack.pop()


@pytest.fixture
def two_gpus():
    """(launches with the device that was current, kernels loaded with their devices)."""
    TwoGpus.asked, TwoGpus.stack = [], [0]
    launched, loaded = [], []

    def launch(*arguments):
        launched.append((TwoGpus.stack[-1], arguments[0]))
        return (0,)

    def load(kernel, device):
        loaded.append((kernel.name, device, TwoGpus.stack[-1]))
        return 100 + device

    def current():
        return 0, TwoGpus.stack[-1]

    with (
        no_gpu_needed(launch, load),
        patch.object(cuda_launch, "driver", TwoGpus),
        patch.object(cuda_launch, "_current", current),
    ):
        yield launched, loaded


def test_a_call_runs_where_its_input_lives(two_gpus):
    """Kernels are loaded, memory is allocated and launches are made with the input's device current for that time."""
    launched, loaded = two_gpus
    allocated = []
    cupy = cuda_arrays.library(fake((1,))).cupy
    empty = cupy.empty
    cupy.empty = staticmethod(lambda *a: allocated.append(TwoGpus.stack[-1]) or empty(*a))
    try:
        for device in (0, 1, 1, 0):
            gp.max_pool2d(fake((2, 8, 8), device=device), 2)
            assert TwoGpus.stack == [0], "the caller's device is current again"
    finally:
        cupy.empty = staticmethod(empty)
    assert launched == [(0, 100), (1, 101), (1, 101), (0, 100)]
    assert [(device, current) for _, device, current in loaded] == [(0, 0), (1, 1)]
    assert allocated == [0, 1, 1, 0]
    assert TwoGpus.asked.count(("retain", 1)) == TwoGpus.asked.count(("release", 1)) > 0
    assert ("retain", 0) not in TwoGpus.asked


def test_the_callers_device_comes_back_after_an_error(two_gpus):
    """Also where loading fails."""

    with patch.object(cuda_launch, "load", side_effect=RuntimeError("no")), pytest.raises(RuntimeError, match="no"):
        gp.avg_pool2d(fake((2, 8, 8), device=1), 2)
    assert TwoGpus.stack == [0]


@pytest.mark.parametrize(
    "call",
    [
        lambda x, out: gp.max_pool2d(x, 2, out=out),
        lambda x, _: gp.max_pool2d(x, 2),
        lambda x, _: gp.global_avg_pool2d(x),
        lambda x, _: gp.max_pool2d(x, 2, return_indices=True),
    ],
    ids=["out", "new", "global", "indices"],
)
def test_after_one_call_only_launches_are_left(call, monkeypatch):
    """So it can be captured in a graph: nothing is compiled, loaded, allocated by us, copied or waited for."""
    launches = Launches()
    with no_gpu_needed(launches):
        monkeypatch.setattr(FakeCupy.cuda.stream, "ptr", 55, raising=False)
        x, out = fake((4, 8, 8)), fake((4, 4, 4), address=1 << 22)
        call(x, out)
        first = len(launches)
        with patch.object(cuda_launch, "load") as load, patch.object(cuda_launch, "driver") as driver:
            call(x, out)
        load.assert_not_called()
        driver.assert_not_called()
        assert len(launches) == 2 * first > 0
        assert {stream for _, _, stream, _ in launches} == {55}
