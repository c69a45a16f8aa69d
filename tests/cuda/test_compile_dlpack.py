"""DLPack structures: what we offer is read back as it was meant, and the taker's deleter gives the memory back."""

import ctypes
import weakref
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest

from gpupool.backends import cuda_dlpack, cuda_launch

pytestmark = pytest.mark.cpu_only


@pytest.fixture
def driver(monkeypatch):
    """A driver that notes what it is asked."""
    asked = []
    monkeypatch.setattr(cuda_dlpack, "_reading", deque())

    def call(name, value=()):
        return lambda *arguments: asked.append((name, *arguments)) or (0, *value)

    fake = SimpleNamespace(
        cuMemAllocAsync=call("alloc", (0x7000,)),
        cuMemFreeAsync=call("free"),
        cuEventCreate=call("create", (5,)),
        cuEventRecord=call("record"),
        cuStreamWaitEvent=call("wait"),
        cuEventDestroy=call("destroy"),
        cuEventQuery=lambda _: (cuda_dlpack.NOT_READY if "busy" in asked else 0,),
        CUevent_flags=SimpleNamespace(CU_EVENT_DISABLE_TIMING=2),
    )
    monkeypatch.setattr(cuda_launch, "driver", lambda: fake)
    monkeypatch.setattr(cuda_launch, "_current", lambda: (0, 0))
    return asked


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int64", "float16", "bool"])
def test_round_trip(driver, dtype):
    """Shape, strides, dtype, address and device survive."""
    owned = cuda_dlpack.Owned((2, 3), np.dtype(dtype), 0)
    capsule = owned.__dlpack__(stream=77)
    shape, strides, found, address, device, readonly, _ = cuda_dlpack.from_capsule(capsule)
    item = np.dtype(dtype).itemsize
    assert (shape, strides, found, address, device, readonly) == (
        (2, 3),
        (3 * item, item),
        np.dtype(dtype),
        0x7000,
        0,
        False,
    )
    assert driver == [("alloc", 6 * item, 0), ("create", 2), ("record", 5, 0), ("wait", 77, 5, 0), ("destroy", 5)]
    assert owned.__dlpack_device__() == (2, 0)
    structure = cuda_dlpack._get(capsule, b"dltensor")
    deleter = cuda_dlpack.Managed.from_address(structure).deleter
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(deleter)(structure)
    assert driver[-1] == ("free", 0x7000, 0)


def test_what_a_running_kernel_reads_is_kept(driver):
    """Until a call finds that the kernel is done."""

    class Lent:
        """Memory of a library."""

    first, second = Lent(), Lent()
    kept = weakref.ref(first)
    driver.append("busy")
    cuda_dlpack.keep_until_done([first])
    del first
    cuda_dlpack.keep_until_done([second])
    assert kept() is not None
    driver.remove("busy")
    cuda_dlpack.let_go()
    assert kept() is None
    assert driver.count(("record", 5, 0)) == driver.count(("destroy", 5)) == 2


def test_untaken_memory_is_freed(driver):
    """A result that no library took over."""
    cuda_dlpack.Owned((4,), np.dtype("float32"), 0)
    assert driver == [("alloc", 16, 0), ("free", 0x7000, 0)]


def test_other_devices_are_refused():
    """A capsule of host memory."""
    with pytest.raises(TypeError, match="DLPack device type 1"):
        cuda_dlpack.from_capsule(np.zeros(3).__dlpack__())
