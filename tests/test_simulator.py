"""Under the simulator it is the CUDA path that runs: its kernels, in its threads, and nothing of the CPU engine."""

import threading

import numpy as np
import pytest
import reference

import gpupool as gp

pytestmark = pytest.mark.simulator_only
X = np.arange(2 * 4 * 6, dtype=np.float32).reshape(2, 4, 6)

CALLS = {
    "max_pool2d": {"kernel_size": 2},
    "avg_pool2d": {"kernel_size": 3, "stride": 1, "padding": 1},
    "global_avg_pool2d": {},
    "global_max_pool2d": {},
}


@pytest.fixture
def launches(monkeypatch):
    """Kernel launches so far, as (the kernel's file, its name)."""
    from numba.cuda.simulator import kernel

    seen = []
    call = kernel.FakeCUDAKernel.__call__

    def counted(self, *arguments):
        if not self._device:
            seen.append((self.fn.__code__.co_filename.replace("\\", "/"), self.fn.__name__))
        return call(self, *arguments)

    monkeypatch.setattr(kernel.FakeCUDAKernel, "__call__", counted)
    return seen


@pytest.fixture
def no_cpu_engine(monkeypatch):
    """The CPU backend's entry points raise."""
    from gpupool import dispatch
    from gpupool.backends import cpu

    def refuse(*_args, **_kwargs):
        raise AssertionError("the CPU engine ran")

    for name in ("run", "run_array_like", "run_dlpack"):
        monkeypatch.setattr(cpu, name, refuse)
    monkeypatch.setattr(cpu.Call, "__call__", refuse)
    monkeypatch.setattr(dispatch, "_runners", {})


@pytest.mark.parametrize("function", CALLS)
def test_the_kernels_ran(backend, launches, no_cpu_engine, function):
    """A simulated array launches kernels of kernels/cuda, and gives the right answer without the CPU engine."""
    got = getattr(gp, function)(backend.array(X), **CALLS[function])
    assert launches, "no kernel was launched"
    assert all("/cuda/" in path for path, _ in launches), launches
    np.testing.assert_array_equal(backend.to_numpy(got), reference.call(function, X, **CALLS[function]).values)
    with pytest.raises(AssertionError, match="the CPU engine ran"):
        getattr(gp, function)(X, **CALLS[function])


def test_every_output_is_written_by_a_simulated_thread(backend, monkeypatch):
    """The 12 results are stored one by one, from inside the simulator's CUDA threads."""
    from numba.cuda.simulator import kernel

    writers = []
    store = kernel.FakeWithinKernelCUDAArray.__setitem__

    def counted(self, index, value):
        writers.append(type(threading.current_thread()))
        store(self, index, value)

    monkeypatch.setattr(kernel.FakeWithinKernelCUDAArray, "__setitem__", counted)
    got = gp.max_pool2d(backend.array(X), 2)
    np.testing.assert_array_equal(backend.to_numpy(got), reference.call("max_pool2d", X, kernel_size=2).values)
    assert writers == [kernel.BlockThread] * 12


def test_results_are_the_simulators_arrays(backend):
    """Values, indices and empty results: device arrays, like the input."""
    values, indices = gp.max_pool2d(backend.array(X), 2, return_indices=True)
    assert backend.owns(values)
    assert backend.owns(indices)
    empty = gp.max_pool2d(backend.array(X[:0]), 2)
    assert backend.owns(empty)
    assert tuple(empty.shape) == (0, 2, 3)


def test_gradients_of_whole_planes_count_nan_together(backend, launches):
    """What a plane's mean was divided by is found by a group of threads, as the mean itself."""
    x = np.where(X % 5 == 0, np.float32(np.nan), X)
    grad = np.array([[[12.0]], [[24.0]]], np.float32)
    got = gp.global_avg_pool2d_backward(backend.array(grad), backend.array(x), nan_policy="omit")
    known = np.isfinite(x)
    want = np.where(known, grad / known.sum((1, 2), keepdims=True, dtype=np.float32), np.float32(0))
    np.testing.assert_array_equal(backend.to_numpy(got), want)
    assert [name for _, name in launches] == ["planes", "divide_known", "strip_known"]


def test_an_empty_result_launches_nothing(backend, launches):
    for function, arguments in CALLS.items():
        getattr(gp, function)(backend.array(X[:0]), **arguments)
    assert launches == []


def test_an_error_launches_nothing(backend, launches):
    x = backend.array(X)
    for arguments in (
        {"kernel_size": 0},
        {"kernel_size": 9},
        {"kernel_size": 2, "padding": 2},
        {"kernel_size": 2, "out": X},
    ):
        with pytest.raises((ValueError, TypeError)):
            gp.max_pool2d(x, **arguments)
    assert launches == []


def test_numpy_arrays_still_use_the_cpu_engine(launches):
    """The simulator changes nothing for NumPy arrays."""
    got = gp.max_pool2d(X, 2)
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, reference.call("max_pool2d", X, kernel_size=2).values)
    assert launches == []
