"""What only a GPU can show: streams, graphs, threads, calls that do not wait, arrays beyond 2**32 elements."""

import contextlib
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from test_docs import python_blocks

import gpupool as gp

pytestmark = pytest.mark.gpu_only
SHAPE = (4, 8, 130, 132)
RNG = np.random.default_rng(5)
BUSY = 30  # passes over a gigabyte: some 10 ms of work on the fastest GPU


def only(backend, *names):
    """The library's module; a test of another library ends here."""
    if backend.name not in names:
        pytest.skip(f"{backend} has none of this: the test is about {', '.join(names)}")
    return getattr(backend, backend.name)


@contextlib.contextmanager
def side_stream(backend):
    """A stream of its own that waits for no other, current in the block; yields its `synchronize`."""
    if backend.name == "cupy":
        stream = backend.cupy.cuda.Stream(non_blocking=True)
        with stream:
            yield stream.synchronize
    else:
        stream = backend.torch.cuda.Stream()
        with backend.torch.cuda.stream(stream):
            yield stream.synchronize


@pytest.fixture(scope="module")
def gigabyte():
    """Arrays of a gigabyte to be busy with, by library."""
    return {}


def keep_busy(backend, gigabyte):
    """Give the current stream work for some milliseconds."""
    if backend.name not in gigabyte:
        gigabyte[backend.name] = backend.from_numpy(np.zeros(1 << 28, np.float32))
    big = gigabyte[backend.name]
    for _ in range(BUSY):
        big += 1


CALLS = {
    "max": lambda x, **out: gp.max_pool2d(x, 3, 2, 1, **out),
    "avg": lambda x, **out: gp.avg_pool2d(x, 2, **out),
    "large window": lambda x, **out: gp.max_pool2d(x, 31, 1, 15, **out),
    "global": lambda x, **out: gp.global_avg_pool2d(x, **out),
    "two launches": lambda x, **out: gp.global_avg_pool3d(x, **out),
}


def values():
    """Fresh values of the shape that the tests use."""
    return RNG.standard_normal(SHAPE, dtype=np.float32)


def agree(got, x, call):
    """The same as on the CPU, means within their rounding."""
    np.testing.assert_allclose(got, CALLS[call](x), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("call", CALLS)
def test_the_callers_stream(backend, gigabyte, call):
    """A kernel on another stream would read x before it is written, behind work of some milliseconds."""
    only(backend, "cupy", "torch")
    x, late = values(), values()
    on_device, source = backend.from_numpy(x), backend.from_numpy(late)
    CALLS[call](on_device)
    keep_busy(backend, gigabyte)
    backend.to_numpy(on_device)  # everything so far is done
    with side_stream(backend) as synchronize:
        keep_busy(backend, gigabyte)
        on_device[...] = source
        y = CALLS[call](on_device)
        synchronize()
    agree(backend.to_numpy(y), late, call)


@pytest.mark.parametrize("call", CALLS)
def test_a_call_does_not_wait(backend, gigabyte, call):
    """It returns long before the work ahead of it is done."""
    only(backend, "cupy", "torch")
    x = backend.from_numpy(values())
    with side_stream(backend) as synchronize:
        y = CALLS[call](x)
        keep_busy(backend, gigabyte)
        synchronize()
        start = time.perf_counter()
        keep_busy(backend, gigabyte)
        CALLS[call](x, out=y)
        returned = time.perf_counter() - start
        synchronize()
        done = time.perf_counter() - start
    assert returned < done / 2, (returned, done)


@pytest.mark.parametrize("call", CALLS)
def test_a_graph_captures_a_call(backend, call):
    """Captured once, replayed on other values: nothing in a call but launches, and memory in the stream's order."""
    module = only(backend, "cupy", "torch")
    x = values()
    on_device = backend.from_numpy(x)
    y = CALLS[call](on_device)
    if backend.name == "cupy":
        stream = module.cuda.Stream(non_blocking=True)
        with stream:
            stream.begin_capture()
            CALLS[call](on_device, out=y)
            graph = stream.end_capture()
            for _ in range(2):
                x = values()
                on_device.set(x, stream=stream)
                graph.launch(stream)
                stream.synchronize()
                agree(backend.to_numpy(y), x, call)
    else:
        graph = module.cuda.CUDAGraph()
        with module.cuda.graph(graph):
            y = CALLS[call](on_device)
        for _ in range(2):
            x = values()
            on_device.copy_(module.from_numpy(x))
            graph.replay()
            module.cuda.synchronize()
            agree(backend.to_numpy(y), x, call)


def test_threads(backend):
    """Eight threads at once, each with calls of every kind; on streams of their own where the library has those."""
    wrong = []

    def work(seed):
        x = np.random.default_rng(seed).standard_normal((2, 3, 60 + seed, 64), dtype=np.float32)
        try:
            with side_stream(backend) if backend.name in ("cupy", "torch") else contextlib.nullcontext():
                on_device = backend.array(x)
                for name, call in CALLS.items():
                    for _ in range(5):
                        agree(backend.to_numpy(call(on_device)), x, name)
        except Exception as error:  # of a thread: reported by the test
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong


def test_inputs_may_be_dropped(backend):
    """An input that nobody keeps is not reused before the kernel has read it."""
    inputs = [values() for _ in range(4)]
    results = [CALLS["large window"](backend.array(inputs[i % 4])) for i in range(24)]
    for i, result in enumerate(results):
        agree(backend.to_numpy(result), inputs[i % 4], "large window")


def test_more_than_32_bits_of_elements(backend):
    """Positions beyond 2**32, in one plane and in many."""
    cupy = only(backend, "cupy")
    free, _ = cupy.cuda.Device().mem_info
    if free < 24 << 30:
        pytest.skip(f"needs 24 GB of free GPU memory, there are {free >> 30}")
    for shape in ((1, 70_000, 65_536), (70_000, 256, 256)):
        words = cupy.random.randint(0, 2**31 - 1, int(np.prod(shape)) // 4, dtype=np.int32)
        x = words.view(np.uint8).reshape(shape)
        y = gp.max_pool2d(x, 2)
        rows = cupy.maximum(x[:, 0::2], x[:, 1::2])
        assert bool((y == cupy.maximum(rows[..., 0::2], rows[..., 1::2])).all())
        del words, x, y, rows
    cupy.get_default_memory_pool().free_all_blocks()


@pytest.mark.parametrize("block", python_blocks("gpu"), ids=str)
def test_readme_gpu(backend, block, tmp_path):
    """The README's example for GPUs prints what it says."""
    only(backend, "cupy")
    done = subprocess.run([sys.executable, "-c", block.body], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == (block.output, 0), done.stderr
